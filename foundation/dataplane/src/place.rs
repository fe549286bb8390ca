//! Whom a file names by address: a URL, or a service and a path.
//!
//! ```text
//!  http://id.example:8080/keys    plain HTTP/1.1
//!  https://id.example/keys        HTTP/1.1 over TLS, port 443, judged by the CAs of this machine
//!  identity:/keys                 a service of the file: its instances, its transport, its policy
//! ```

use dozen_core::{Diagnose, Fault, Retry};
use http::{Method, Request, header, request};

/// Somebody who can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) whom: Whom,
    /// Path and query.
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Service(String),
    Url {
        is_tls: bool,
        /// As the URL writes it, for the `Host` header.
        authority: String,
        /// `host:port`, to connect to.
        address: String,
    },
}

/// What is wrong with the text of a place. It does not repeat the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is no URL, and no service with a path.
    #[error("is no URL such as `https://id.example/keys`")]
    NoUrl,
    /// Its beginning is neither `http://` nor `https://`.
    #[error("must begin with `http://` or `https://`")]
    Scheme,
    /// There is no host in it.
    #[error("names no host; write `https://host/path`")]
    NoHost,
    /// It holds a user or a password.
    #[error("holds a user name; credentials do not belong into an address")]
    User,
}

impl Diagnose for PlaceError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "http-request"
    }
}

impl Place {
    /// Reads `http://host[:port][/path]` or the same with `https`.
    pub fn url(text: &str) -> Result<Self, PlaceError> {
        let (is_tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ if text.starts_with('/') => return Err(PlaceError::NoHost),
            _ if text.contains("://") => return Err(PlaceError::Scheme),
            _ => return Err(PlaceError::NoUrl),
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if authority.contains('@') {
            return Err(PlaceError::User);
        }
        if authority.is_empty() {
            return Err(PlaceError::NoHost);
        }
        if !authority.bytes().all(is_name) || !is_target(target) {
            return Err(PlaceError::NoUrl);
        }
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        let address = match port {
            Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => authority.to_owned(),
            Some(_) => return Err(PlaceError::NoUrl),
            None => format!("{authority}:{}", if is_tls { 443 } else { 80 }),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { whom: Whom::Url { is_tls, authority: authority.to_owned(), address }, target })
    }

    /// `path`, a path and query, of `service`.
    pub fn service(service: impl Into<String>, path: impl Into<String>) -> Self {
        Self { whom: Whom::Service(service.into()), target: path.into() }
    }

    /// Reads a URL, or `service:/path`.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match text.split_once(":/") {
            Some((service, path)) if !path.starts_with('/') && is_name(service) && is_target(path) => {
                Ok(Self::service(service, format!("/{path}")))
            }
            _ => Self::url(text),
        }
    }

    /// The service, if it is one of the file.
    pub fn of_service(&self) -> Option<&str> {
        match &self.whom {
            Whom::Service(service) => Some(service),
            Whom::Url { .. } => None,
        }
    }

    /// The host, or the service: what may be shown to anybody.
    pub fn name(&self) -> &str {
        match &self.whom {
            Whom::Service(name) | Whom::Url { authority: name, .. } => name,
        }
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// A request to it.
    pub fn request(&self, method: Method) -> request::Builder {
        let request = Request::builder().method(method).uri(&self.target);
        match &self.whom {
            Whom::Service(_) => request,
            Whom::Url { authority, .. } => request.header(header::HOST, authority),
        }
    }
}

fn is_target(target: &str) -> bool {
    target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, name, address, target) in [
            (
                "http://example.test/hook?token=s3cret",
                "example.test",
                "example.test:80",
                "/hook?token=s3cret",
            ),
            ("https://id.example", "id.example", "id.example:443", "/"),
            ("https://id.example:8443?x", "id.example:8443", "id.example:8443", "/?x"),
            ("http://[::1]:8080", "[::1]:8080", "[::1]:8080", "/"),
            ("http://[::1]/a", "[::1]", "[::1]:80", "/a"),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!((place.name(), place.target()), (name, target), "{text}");
            let wanted = text.starts_with("https");
            let is_so = matches!(&place.whom, Whom::Url { address: to, is_tls, .. } if to == address && *is_tls == wanted);
            assert!(is_so, "{text}: {place:?}");
        }
    }

    #[test]
    fn a_service_is_named_with_a_path() {
        let place = Place::parse("identity:/keys?all").unwrap();
        assert_eq!((place.of_service(), place.target()), (Some("identity"), "/keys?all"));
        assert_eq!(Place::url("identity:/keys"), Err(PlaceError::NoUrl));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_without_being_shown() {
        for (text, why) in [
            ("ftp://example.test/s3cret", PlaceError::Scheme),
            ("/s3cret", PlaceError::NoHost),
            ("http:///s3cret", PlaceError::NoHost),
            ("http://u:s3cret@example.test/", PlaceError::User),
            ("http://s3cret s3cret", PlaceError::NoUrl),
            ("http://host:0/", PlaceError::NoUrl),
            ("http://host:s3cret/", PlaceError::NoUrl),
            ("s3cret", PlaceError::NoUrl),
            ("http://a/\u{e4}", PlaceError::NoUrl),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
