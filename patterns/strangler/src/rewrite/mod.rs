//! Answers of a system that thinks it stands alone, for clients that know the facade only.
//!
//! Cookies get the facade's domain and path; redirects and links that name the system's own hosts name the facade's. All of it
//! is pure: text in, text out. The body is rewritten as it passes, holding back no more than the longest thing looked for.

mod body;
mod cookie;

pub use body::{BodyRewriter, is_text};
pub use cookie::{CookieRules, SameSite};

/// What stands for what in addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Host names, with their port if they have one, that are the system's own.
    pub hosts: Vec<String>,
    /// What stands for them: scheme and host, `https://shop.example`.
    pub facade: String,
    /// The system's path at which it is mounted, and the path of the facade that stands for it: `("/app", "/shop")`.
    pub prefix: Option<(String, String)>,
}

impl Addresses {
    /// A `location` or `content-location` as the client should see it. One that names a foreign host stays.
    pub fn location(&self, value: &str) -> String {
        let (scheme, rest) = match value.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (true, rest),
            _ => match value.strip_prefix("//") {
                Some(rest) => (true, rest),
                None => (false, value),
            },
        };
        if !scheme {
            return if value.starts_with('/') { self.path(value) } else { value.to_owned() };
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        match self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            true => format!("{}{}", self.facade, self.path(path)),
            false => value.to_owned(),
        }
    }

    /// A path under the facade.
    fn path(&self, path: &str) -> String {
        let Some((own, facade)) = &self.prefix else { return path.to_owned() };
        match path.strip_prefix(own.as_str()) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => format!("{facade}{rest}"),
            _ => path.to_owned(),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.eq_ignore_ascii_case("http") || text.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leads_around_the_facade() {
        let addresses = Addresses {
            hosts: vec!["old.internal:8080".into(), "old.internal".into()],
            facade: "https://shop.example".into(),
            prefix: Some(("/app".into(), "/shop".into())),
        };
        for (value, expected) in [
            ("http://old.internal:8080/app/cart?x=1", "https://shop.example/shop/cart?x=1"),
            ("https://OLD.internal/login", "https://shop.example/login"),
            ("//old.internal", "https://shop.example"),
            ("/app", "/shop"),
            ("/apple", "/apple"),
            ("next", "next"),
            ("https://bank.example/app/pay", "https://bank.example/app/pay"),
            ("http://old.internal.evil/app", "http://old.internal.evil/app"),
            ("http://evil@old.internal/", "http://evil@old.internal/"),
        ] {
            assert_eq!(addresses.location(value), expected);
        }
    }
}
