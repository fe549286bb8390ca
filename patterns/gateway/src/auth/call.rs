//! Calls that the gateway makes for itself: to who issues keys and tokens, and to who decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, Client, Error};
use http::response::Parts;
use http::{Method, Request, header};
use tokio::time::timeout;

/// Workers that get a client of their own; further ones share.
const CLIENTS: usize = 64;

/// A URL that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `host:port`, to connect to.
    pub(crate) address: String,
    /// As the URL writes it, for the `Host` header.
    authority: String,
    /// Path and query.
    target: String,
}

impl Place {
    /// Reads `http://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(match url.strip_prefix("https://") {
                Some(_) => format!(
                    "`{url}` is https, which the gateway cannot call itself yet; name an `http://` address inside the \
                     trusted network that forwards there"
                ),
                None => format!("`{url}` is no URL such as `http://id.example/keys`"),
            });
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if authority.is_empty() || !authority.bytes().all(is_name) || !target.bytes().all(is_visible) {
            return Err(format!("`{url}` is no URL such as `http://id.example/keys`"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { address, authority: authority.to_owned(), target })
    }

    /// A request to it.
    pub(crate) fn request(&self, method: Method) -> http::request::Builder {
        Request::builder().method(method).uri(&self.target).header(header::HOST, &self.authority)
    }
}

/// A client for each worker, because a connection lives on the runtime that opened it.
#[derive(Debug)]
pub(crate) struct Callers(Vec<Client>);

impl Callers {
    pub(crate) fn new() -> Self {
        Self((0..CLIENTS).map(|_| Client::new()).collect())
    }

    /// The worker's own.
    pub(crate) fn of(&self, worker: usize) -> &Client {
        &self.0[worker % CLIENTS]
    }
}

/// Whether somebody could be reached when they were last asked. Says so when it changes, and not for each request.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    away: AtomicBool,
}

impl Reach {
    pub(crate) fn answered(&self, method: &str) {
        // The plain look first: it is nearly always enough, and leaves the line in every worker's cache.
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::info!(method, "who decides can be asked again");
        }
    }

    pub(crate) fn failed(&self, method: &str, problem: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(method, problem, "who decides cannot be asked");
        }
    }
}

/// Sends a request and reads all of its answer, within `limit` as a whole.
pub(crate) async fn exchange(
    client: &Client,
    place: &Place,
    request: http::Result<Request<Body>>,
    body_max: usize,
    limit: Duration,
) -> Result<(Parts, Bytes), Error> {
    let request = request.map_err(|_| Error::Request { why: "a header's value cannot be written" })?;
    let answered = async {
        let (head, body) = client.send(&place.address, request, limit).await?.into_parts();
        Ok((head, body.collect(body_max).await?))
    };
    let too_late = |_| Error::TimedOut { address: place.address.clone() };
    timeout(limit, answered).await.map_err(too_late)?
}

/// As a form or a query writes it.
pub(crate) fn escaped(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The other way round, `+` being a space. What is no escape stays.
pub(crate) fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}
