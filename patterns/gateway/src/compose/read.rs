//! Keys of a mapping, read with a sentence for what is wrong with them.

use std::time::Duration;

use dozen_core::{duration, nearest};
use dozen_mapping::{Object, Value};
use http::HeaderName;

use super::Wrong;

/// A mapping whose keys are known, and where it stands.
pub(crate) struct Keys<'w> {
    pub(crate) at: String,
    pub(crate) object: &'w Object,
}

impl<'w> Keys<'w> {
    pub(crate) fn of(value: &'w Value, at: impl Into<String>) -> Result<Self, Wrong> {
        let at = at.into();
        match value.as_object() {
            Some(object) => Ok(Self { at, object }),
            None => Err((at, format!("is {}, and a mapping belongs here", value.kind()))),
        }
    }

    /// Refuses every other key, with the nearest of these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        match self.object.iter().find(|(name, _)| !known.contains(&&***name)) {
            Some((name, _)) => Err((self.place(name), format!("is no key here; {}", meant(name, known)))),
            None => Ok(()),
        }
    }

    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    pub(crate) fn wrong<T>(&self, name: &str, problem: impl Into<String>) -> Result<T, Wrong> {
        Err((self.place(name), problem.into()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'w Value> {
        self.object.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'w str>, Wrong> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => self.wrong(name, format!("is {}, and a text belongs here", other.kind())),
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Wrong> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match duration::parse(text).filter(|duration| !duration.is_zero()) {
            Some(duration) => Ok(Some(duration)),
            None => self.wrong(name, format!("is `{text}`, and no duration such as `300ms` or `2s`")),
        }
    }

    /// Bytes: `64KiB`, `1MiB`, or a number.
    pub(crate) fn size(&self, name: &str) -> Result<Option<usize>, Wrong> {
        let read = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64().and_then(|bytes| usize::try_from(bytes).ok()),
            Some(Value::Text(text)) => size(text),
            Some(_) => None,
        };
        match read.filter(|bytes| (1..=SIZE_MAX).contains(bytes)) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.wrong(name, "is no size such as `64KiB`, from 1 byte to 64MiB"),
        }
    }

    /// Names of headers: one, or a list.
    pub(crate) fn headers(&self, name: &str) -> Result<Box<[HeaderName]>, Wrong> {
        let one = |value: &Value| {
            let read = value.as_text().and_then(header);
            read.map_or_else(|| self.wrong(name, "holds something that is no header's name"), Ok)
        };
        match self.get(name) {
            None => Ok(Box::default()),
            Some(Value::List(list)) => list.iter().map(one).collect(),
            Some(value) => Ok([one(value)?].into()),
        }
    }
}

/// The largest size that can be asked for: all of it is held in memory.
const SIZE_MAX: usize = 64 * 1024 * 1024;

fn size(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1024,
        "MB" => 1_000_000,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// A header's name, unless it belongs to the connection or to the body that it comes with.
pub(super) fn header(text: &str) -> Option<HeaderName> {
    const OURS: [&str; 13] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-range",
    ];
    let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
    (!OURS.contains(&name.as_str())).then_some(name)
}

/// The service of `orders:/orders/{id}`, and the path there.
pub(super) fn service(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, ""))
}

/// What was meant, or what there is.
pub(super) fn meant(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are `{}`", known.join("`, `")),
    }
}
