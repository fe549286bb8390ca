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
mod tests;
