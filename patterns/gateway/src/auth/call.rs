//! Calls that the gateway makes for itself: to who issues keys and tokens, and to who decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, CallError, Caller, Client, Error, Place};
use http::Request;
use http::response::Parts;
use tokio::time::timeout;

/// Workers that get a client of their own; further ones share.
const CLIENTS: usize = 64;

/// Reads a URL, or `service:/path` of a service of the file.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    Place::parse(text).map_err(|wrong| {
        let way = "write `https://id.example/keys`, or `service:/keys` with a service of this file";
        format!("`{text}` {wrong}; {way}")
    })
}

/// One for each worker, because a connection lives on the runtime that opened it; and one for what runs beside them.
#[derive(Debug)]
pub(crate) struct Callers {
    workers: Vec<Caller>,
    beside: Caller,
}

impl Callers {
    pub(crate) fn new(caller: &Caller) -> Self {
        let workers = (0..CLIENTS).map(|_| caller.over(Client::new())).collect();
        Self { workers, beside: caller.clone() }
    }

    /// The worker's own.
    pub(crate) fn of(&self, worker: usize) -> &Caller {
        &self.workers[worker % CLIENTS]
    }

    /// The one of what runs beside the workers.
    pub(crate) fn beside(&self) -> &Caller {
        &self.beside
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
    caller: &Caller,
    place: &Place,
    request: http::Result<Request<Body>>,
    body_max: usize,
    limit: Duration,
) -> Result<(Parts, Bytes), CallError> {
    let failed = |source| CallError::Failed { service: place.name().to_owned(), source };
    let unfit = |_| failed(Error::Request { why: "a header's value cannot be written" });
    let request = request.map_err(unfit)?;
    let answered = async {
        let (head, body) = caller.ask(place, request, limit).await?.into_parts();
        Ok((head, body.collect(body_max).await.map_err(failed)?))
    };
    let too_late = |_| failed(Error::TimedOut { address: place.name().to_owned() });
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
        // A sign would be taken for a number, too.
        let code = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|two| std::str::from_utf8(two).ok());
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
