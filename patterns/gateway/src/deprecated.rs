//! Saying that a route will go away: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and 410 once it has.

use std::time::{Duration, UNIX_EPOCH};

use dozen_core::Timestamp;

use crate::options::Deprecated;

/// What clients of the route are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    fields: Box<[(&'static str, Box<str>)]>,
    gone_from: Option<Timestamp>,
}

impl Notice {
    pub(crate) fn compile(written: &Deprecated) -> Result<Self, (String, String)> {
        let moment = |text: &String| {
            let wrong = || (text.clone(), "is no moment such as `2027-01-31T00:00:00Z`".to_owned());
            Timestamp::parse(text).filter(|moment| moment.0 >= 0).ok_or_else(wrong)
        };
        let since = written.since.as_ref().map(moment).transpose()?;
        let sunset = written.sunset.as_ref().map(moment).transpose()?;
        let mut fields: Vec<(&'static str, Box<str>)> = Vec::new();
        if let Some(since) = since {
            fields.push(("deprecation", format!("@{}", since.millis() / 1000).into()));
        }
        if let Some(sunset) = sunset {
            let seconds = u64::try_from(sunset.millis() / 1000).unwrap_or(0);
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            fields.push(("sunset", date.into()));
        }
        if let Some(link) = &written.link {
            let is_fine = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"');
            if link.is_empty() || !link.bytes().all(is_fine) {
                return Err((link.clone(), "is no URL".into()));
            }
            let relation = if sunset.is_some() { "sunset" } else { "deprecation" };
            fields.push(("link", format!("<{link}>; rel=\"{relation}\"").into()));
        }
        if written.gone && sunset.is_none() {
            return Err(("gone".into(), "says that it goes away, and `sunset` does not say when".into()));
        }
        Ok(Self { fields: fields.into(), gone_from: sunset.filter(|_| written.gone) })
    }

    /// Headers of every answer.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.fields.iter().map(|(name, value)| (*name, &**value))
    }

    /// Whether requests are answered with 410 now.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_from.is_some_and(|from| now >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_written_as_the_standards_say_and_the_end_comes_at_its_moment() {
        let written = Deprecated {
            since: Some("2026-01-01T00:00:00Z".into()),
            sunset: Some("2027-01-31T12:00:00Z".into()),
            link: Some("https://shop.example/v2".into()),
            gone: true,
        };
        let notice = Notice::compile(&written).unwrap();
        let fields: Vec<_> = notice.fields().collect();
        assert_eq!(
            fields,
            [
                ("deprecation", "@1767225600"),
                ("sunset", "Sun, 31 Jan 2027 12:00:00 GMT"),
                ("link", "<https://shop.example/v2>; rel=\"sunset\""),
            ]
        );
        let sunset = Timestamp::parse("2027-01-31T12:00:00Z").unwrap();
        assert!(notice.is_gone(sunset) && !notice.is_gone(Timestamp(sunset.0 - 1)));
        for wrong in [
            Deprecated { since: Some("soon".into()), ..Deprecated::default() },
            Deprecated { gone: true, ..Deprecated::default() },
            Deprecated { link: Some("a>b".into()), ..Deprecated::default() },
        ] {
            assert!(Notice::compile(&wrong).is_err(), "{wrong:?}");
        }
    }
}
