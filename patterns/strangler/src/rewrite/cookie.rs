//! `set-cookie` headers.

use serde::{Deserialize, Serialize};

/// How far a cookie follows links from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Not at all.
    Strict,
    /// Where somebody follows a link.
    Lax,
    /// Everywhere; asks for `Secure`.
    None,
}

/// What becomes of the cookies that a system sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CookieRules {
    /// The domain that they get; without it, they have none, and belong to the facade's host alone.
    pub domain: Option<String>,
    /// The system's path at which it is mounted, and the path of the facade that stands for it.
    pub path: Option<(String, String)>,
    /// Whether they go over TLS only.
    pub secure: bool,
    /// What they get as `SameSite`; without it, what they had.
    pub same_site: Option<SameSite>,
}

impl CookieRules {
    /// One `set-cookie` value as the client should get it. Name, value and all else stay as they were.
    pub fn rewrite(&self, value: &str) -> String {
        let mut parts = value.split(';');
        let mut out = parts.next().unwrap_or("").trim().to_owned();
        let mut has_path = false;
        for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("domain")
                || (self.secure && name.eq_ignore_ascii_case("secure"))
                || (self.same_site.is_some() && name.eq_ignore_ascii_case("samesite"))
            {
                continue;
            }
            if name.eq_ignore_ascii_case("path") {
                has_path = true;
                out.push_str("; Path=");
                out.push_str(&self.path_of(value.trim()));
                continue;
            }
            out.push_str("; ");
            out.push_str(part);
        }
        if let (false, Some((_, facade))) = (has_path, &self.path) {
            // Without a path it would belong to wherever it was set, which is another place for the client.
            out.push_str("; Path=");
            out.push_str(facade);
        }
        if let Some(domain) = &self.domain {
            out.push_str("; Domain=");
            out.push_str(domain);
        }
        if self.secure || self.same_site == Some(SameSite::None) && !has(value, "secure") {
            out.push_str("; Secure");
        }
        match self.same_site {
            Some(SameSite::Strict) => out.push_str("; SameSite=Strict"),
            Some(SameSite::Lax) => out.push_str("; SameSite=Lax"),
            Some(SameSite::None) => out.push_str("; SameSite=None"),
            None => {}
        }
        out
    }

    fn path_of(&self, path: &str) -> String {
        match &self.path {
            Some((own, facade)) => match path.strip_prefix(own.as_str()) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{facade}{rest}"),
                _ => path.to_owned(),
            },
            None => path.to_owned(),
        }
    }
}

fn has(value: &str, attribute: &str) -> bool {
    value.split(';').skip(1).any(|part| part.trim().eq_ignore_ascii_case(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_belongs_to_the_facade() {
        let rules = CookieRules {
            domain: None,
            path: Some(("/app".into(), "/shop".into())),
            secure: true,
            same_site: Some(SameSite::Lax),
        };
        for (value, expected) in [
            (
                "ASP.SESSION=abc==; domain=old.internal; path=/app; HttpOnly",
                "ASP.SESSION=abc==; Path=/shop; HttpOnly; Secure; SameSite=Lax",
            ),
            ("a=1; Secure; SameSite=None; Path=/", "a=1; Path=/; Secure; SameSite=Lax"),
            (
                "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
                "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/shop; Secure; SameSite=Lax",
            ),
            ("a=1; Path=/apple", "a=1; Path=/apple; Secure; SameSite=Lax"),
        ] {
            assert_eq!(rules.rewrite(value), expected);
        }
        let plain = CookieRules { domain: Some("example.com".into()), ..CookieRules::default() };
        assert_eq!(plain.rewrite("a=1; Domain=x; Secure"), "a=1; Secure; Domain=example.com");
        let none = CookieRules { same_site: Some(SameSite::None), ..CookieRules::default() };
        assert_eq!(none.rewrite("a=1"), "a=1; Secure; SameSite=None");
        assert_eq!(none.rewrite("a=1; secure"), "a=1; secure; SameSite=None");
    }
}
