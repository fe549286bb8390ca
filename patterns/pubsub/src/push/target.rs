//! Where deliveries go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dozen_core::EndpointSet;
use dozen_messaging::Error;
use http::Uri;
use tokio::sync::watch;

/// How a service's name becomes its instances.
pub type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// A service of the application, or an address anywhere.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) path: String,
    to: To,
}

enum To {
    Service { endpoints: watch::Receiver<Arc<EndpointSet>>, turn: AtomicUsize },
    Url { authority: String, address: String },
}

impl Target {
    pub(super) fn service(
        service: String,
        path: String,
        endpoints: watch::Receiver<Arc<EndpointSet>>,
    ) -> Self {
        Self { name: service, path, to: To::Service { endpoints, turn: AtomicUsize::new(0) } }
    }

    /// The error does not repeat the text: an address may hold a secret.
    pub(super) fn url(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Invalid(format!("the address to push to {why}"));
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let authority =
            uri.authority().ok_or_else(|| wrong("names no host; write `http://host:port/path`"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(wrong(
                    "begins with `https://`, and deliveries are made over plain HTTP only; name a proxy \
                     beside this program that speaks TLS, or push to a service",
                ));
            }
            _ => return Err(wrong("must begin with `http://`")),
        }
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name; sign the deliveries instead"));
        }
        let authority = authority.as_str().to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let address = format!("{}:{port}", uri.host().unwrap_or_default());
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { name: authority.clone(), path, to: To::Url { authority, address } })
    }

    /// The next address in turn, and the value of `host` for it. `None` when no instance is healthy.
    pub(super) fn next(&self) -> Option<(String, String)> {
        match &self.to {
            To::Url { authority, address } => Some((address.clone(), authority.clone())),
            To::Service { endpoints, turn } => {
                let set = endpoints.borrow();
                let healthy: Vec<_> = set.healthy().collect();
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let address = healthy.get(turn.checked_rem(healthy.len())?)?.address.clone();
                Some((address.clone(), address))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_or_refused_without_being_shown() {
        let target = Target::url("http://example.test/hook?token=s3cret").unwrap();
        assert_eq!(target.next(), Some(("example.test:80".into(), "example.test".into())));
        assert_eq!((target.name.as_str(), target.path.as_str()), ("example.test", "/hook?token=s3cret"));
        let port = Target::url("http://[::1]:8080").unwrap();
        assert_eq!(port.next(), Some(("[::1]:8080".into(), "[::1]:8080".into())));
        for (text, why) in [
            ("https://example.test/s3cret", "plain HTTP"),
            ("ftp://example.test/s3cret", "http://"),
            ("/s3cret", "names no host"),
            ("http://u:s3cret@example.test/", "user name"),
            ("http://s3cret s3cret", "no URL"),
        ] {
            let error = Target::url(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
