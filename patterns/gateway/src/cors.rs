//! Cross-origin requests from browsers (the Fetch standard's CORS protocol), decided without a socket.
//!
//! A *preflight* asks before the request: `OPTIONS` with `Origin` and `Access-Control-Request-Method`. It is answered
//! here and never reaches a service, so that services need not know of any of this. What a service says in
//! `Access-Control-…` headers of its own is dropped: there is one voice, never two headers. Whether or not an origin is
//! allowed, `Vary` says that the answer depends on it, so that no cache hands one origin's answer to another.
//!
//! An origin that is not allowed gets an answer without the headers, and the browser keeps it from the page. This
//! protects users of browsers, not services: a program sends what it likes.

use crate::asked::Asked;
use crate::options::CorsOptions;

/// Whose pages may do what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cors {
    origins: Box<[Origin]>,
    methods: Box<[String]>,
    headers: Box<[String]>,
    exposed: Option<Box<str>>,
    credentials: bool,
    max_age: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Origin {
    Any,
    Exactly(Box<str>),
    /// A scheme with its `://`, and what the host ends with: a dot and a name.
    Below(Box<str>, Box<str>),
}

/// Headers of an answer.
pub(crate) type Fields = Vec<(&'static str, String)>;

impl Cors {
    pub(crate) fn compile(options: &CorsOptions) -> Result<Self, (String, String)> {
        let wrong = |text: &str, problem: &str| Err((text.to_owned(), problem.to_owned()));
        if options.origins.is_empty() {
            return wrong(
                "cors",
                "names no origins; write `origins: [https://shop.example]`, or `*` for all",
            );
        }
        let mut origins = Vec::new();
        for text in &options.origins {
            let Some(origin) = origin(text) else {
                return wrong(
                    text,
                    "is no origin such as `https://shop.example` or `https://*.shop.example`",
                );
            };
            if origin == Origin::Any && options.credentials {
                return wrong(text, "cannot stand beside `credentials`: every page could act as the user");
            }
            origins.push(origin);
        }
        let is_token = |text: &&String| {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            text.is_empty() || !text.bytes().all(token)
        };
        let names = options.methods.iter().chain(&options.headers).chain(&options.expose);
        if let Some(name) = names.into_iter().find(is_token) {
            return wrong(name, "is no name of a method or header");
        }
        Ok(Self {
            origins: origins.into(),
            methods: options.methods.clone().into(),
            headers: options.headers.clone().into(),
            exposed: (!options.expose.is_empty()).then(|| options.expose.join(", ").into()),
            credentials: options.credentials,
            max_age: options.max_age.as_secs(),
        })
    }

    /// The method that a preflight asks for; `None` for every other request.
    pub(crate) fn preflight<'r>(asked: &Asked<'r>) -> Option<&'r str> {
        if asked.method != "OPTIONS" || asked.headers.named("origin").next().is_none() {
            return None;
        }
        let method = asked.headers.named("access-control-request-method").next()?;
        std::str::from_utf8(method).ok()
    }

    /// The headers that answer a preflight, for a route that takes `taken` (empty: every method).
    pub(crate) fn answer(&self, asked: &Asked<'_>, method: &str, taken: &[String]) -> Fields {
        let mut fields: Fields =
            vec![("vary", "origin, access-control-request-method, access-control-request-headers".into())];
        let Some(origin) = self.allowed(asked) else { return fields };
        let methods: &[String] = if self.methods.is_empty() { taken } else { &self.methods };
        let is_simple = matches!(method, "GET" | "HEAD" | "POST");
        let is_allowed = is_simple || methods.is_empty() || methods.iter().any(|one| one == method);
        let headers = asked.headers.named("access-control-request-headers").next();
        let Some(headers) = self.headers_allowed(headers.unwrap_or_default()) else { return fields };
        if !is_allowed {
            return fields;
        }
        self.speak(origin, &mut fields);
        let methods = if methods.is_empty() { method.to_owned() } else { methods.join(", ") };
        fields.push(("access-control-allow-methods", methods));
        if !headers.is_empty() {
            fields.push(("access-control-allow-headers", headers));
        }
        fields.push(("access-control-max-age", self.max_age.to_string()));
        fields
    }

    /// The headers of every other answer.
    pub(crate) fn fields(&self, asked: &Asked<'_>) -> Fields {
        let mut fields: Fields = vec![("vary", "origin".into())];
        if let Some(origin) = self.allowed(asked) {
            self.speak(origin, &mut fields);
            if let Some(exposed) = &self.exposed {
                fields.push(("access-control-expose-headers", exposed.to_string()));
            }
        }
        fields
    }

    /// Whether a header of the service's answer is dropped: we speak for it.
    pub(crate) fn drops(name: &str) -> bool {
        const PREFIX: &str = "access-control-";
        name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    fn speak(&self, origin: &str, fields: &mut Fields) {
        fields.push(("access-control-allow-origin", origin.to_owned()));
        if self.credentials {
            fields.push(("access-control-allow-credentials", "true".into()));
        }
    }

    /// What to say of the origin of a request, if it is allowed. Two origins are none.
    fn allowed<'r>(&self, asked: &Asked<'r>) -> Option<&'r str> {
        let mut given = asked.headers.named("origin");
        let (origin, None) = (std::str::from_utf8(given.next()?).ok()?, given.next()) else { return None };
        if self.origins.contains(&Origin::Any) {
            return Some("*");
        }
        let is_allowed = self.origins.iter().any(|allowed| match allowed {
            Origin::Any => true,
            Origin::Exactly(text) => text.eq_ignore_ascii_case(origin),
            Origin::Below(scheme, suffix) => {
                let lower = origin.to_ascii_lowercase();
                lower.strip_prefix(&**scheme).and_then(|host| host.strip_suffix(&**suffix)).is_some_and(
                    |label| {
                        !label.is_empty()
                            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
                    },
                )
            }
        });
        is_allowed.then_some(origin)
    }

    /// The headers of a preflight, if each of them is allowed.
    fn headers_allowed(&self, wanted: &[u8]) -> Option<String> {
        let wanted = std::str::from_utf8(wanted).ok()?;
        let names: Vec<&str> = wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let always = ["accept", "accept-language", "content-language", "content-type"];
        let is_allowed = |name: &&str| {
            self.headers.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name))
                || always.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        let is_name =
            |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        names.iter().all(|name| is_name(name) && is_allowed(name)).then(|| names.join(", "))
    }
}

fn origin(text: &str) -> Option<Origin> {
    if text == "*" {
        return Some(Origin::Any);
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://")?;
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (is_below, name) = match host.strip_prefix('*') {
        Some(rest) if rest.starts_with('.') => (true, rest),
        _ => (false, host),
    };
    let is_name = name.len() > 1 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    match (is_scheme && is_name, is_below) {
        (false, _) => None,
        (true, true) => Some(Origin::Below(format!("{scheme}://").into(), name.into())),
        (true, false) => Some(Origin::Exactly(lower.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::asked::{Claims, Headers};

    fn cors(origins: &[&str], credentials: bool) -> Result<Cors, (String, String)> {
        Cors::compile(&CorsOptions {
            origins: origins.iter().map(|one| (*one).to_owned()).collect(),
            headers: vec!["X-Tenant".into()],
            expose: vec!["etag".into()],
            credentials,
            ..CorsOptions::default()
        })
    }

    fn with<T>(headers: &[(&str, &str)], ask: impl FnOnce(&Asked<'_>) -> T) -> T {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ask(&Asked {
            method: "OPTIONS",
            scheme: "http",
            host: "a",
            path: "/",
            query: None,
            headers: Headers::Given(&headers),
            claims: Claims::NotYet,
            consumer: None,
            address: IpAddr::from([127, 0, 0, 1]),
        })
    }

    fn value<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
        assert!(fields.iter().filter(|field| field.0 == name).count() <= 1, "{name} twice");
        fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    #[test]
    fn an_origin_is_allowed_as_it_is_written_and_nothing_that_only_looks_alike() {
        let some = cors(&["https://shop.example", "https://*.shop.example:8443"], true).unwrap();
        for (origin, is_allowed) in [
            ("https://shop.example", true),
            ("HTTPS://Shop.Example", true),
            ("https://a.b.shop.example:8443", true),
            ("http://shop.example", false),
            ("https://shop.example.evil.example", false),
            ("https://evilshop.example:8443", false),
            ("https://.shop.example:8443", false),
            ("https://evil.example/.shop.example:8443", false),
            ("null", false),
        ] {
            let fields = with(&[("Origin", origin)], |asked| some.fields(asked));
            assert_eq!(value(&fields, "access-control-allow-origin").is_some(), is_allowed, "{origin}");
            assert_eq!(value(&fields, "vary"), Some("origin"));
        }
        let twice = with(&[("origin", "https://shop.example"), ("origin", "x")], |asked| some.fields(asked));
        assert_eq!(twice.len(), 1);
    }

    #[test]
    fn a_preflight_is_answered_for_what_is_allowed_only() {
        let some = cors(&["https://shop.example"], true).unwrap();
        let taken = ["PUT".to_owned(), "GET".to_owned()];
        let ask = |method: &str, headers: &str| {
            let given = [
                ("origin", "https://shop.example"),
                ("access-control-request-method", method),
                ("access-control-request-headers", headers),
            ];
            with(&given, |asked| some.answer(asked, Cors::preflight(asked).unwrap(), &taken))
        };
        let fields = ask("PUT", "x-tenant, content-type");
        assert_eq!(value(&fields, "access-control-allow-methods"), Some("PUT, GET"));
        assert_eq!(value(&fields, "access-control-allow-headers"), Some("x-tenant, content-type"));
        assert_eq!(value(&fields, "access-control-allow-credentials"), Some("true"));
        assert_eq!(value(&fields, "access-control-max-age"), Some("600"));
        for (method, headers) in [("DELETE", ""), ("PUT", "x-other"), ("PUT", "x\"y")] {
            assert_eq!(ask(method, headers).len(), 1, "{method} {headers}");
        }
        assert!(with(&[("origin", "https://shop.example")], |asked| Cors::preflight(asked).is_none()));
    }

    #[test]
    fn every_origin_is_one_word_and_never_with_credentials() {
        let all = cors(&["*"], false).unwrap();
        let fields = with(&[("origin", "https://x.example")], |asked| all.fields(asked));
        assert_eq!(value(&fields, "access-control-allow-origin"), Some("*"));
        assert_eq!(value(&fields, "access-control-expose-headers"), Some("etag"));
        assert!(
            cors(&["*"], true).is_err()
                && cors(&[], false).is_err()
                && cors(&["shop.example"], false).is_err()
        );
        assert!(Cors::drops("Access-Control-Allow-Origin") && !Cors::drops("access-contro"));
    }
}
