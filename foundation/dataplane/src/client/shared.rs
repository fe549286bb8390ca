//! Over HTTP/2: requests as streams of connections that are shared.
//!
//! Whoever gives up on an answer takes its connection out of the pool, since it may be dead; streams on it go on, and the next
//! request opens another. A connection ends when nobody asks on it and nobody keeps it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::Builder;
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, Sleep, sleep};

use super::{IDLE, Key};
use crate::moment::{Monotonic as _, RunningTime, micros};
use crate::proxy::tasks::{Spawner, Tasks};
use crate::streams::{self, Claim, Streams};
use crate::tls::connect;
use crate::{Body, BoxError, Error, Transport, framing};

/// The connections, by transport and address.
#[derive(Default)]
pub(super) struct Shared {
    streams: Streams<Key>,
    clock: RunningTime,
    /// What works them; it ends with the pool.
    tasks: Arc<Tasks>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// A stream to `key`'s address, on a connection that is open or is opened for it.
    pub(super) async fn stream(&self, key: &Key, transport: &Transport) -> Result<Claim, Error> {
        let now = self.clock.now().0;
        // Each look sweeps, so that addresses that are never called again do not keep their connections.
        self.streams.sweep(now.saturating_sub(micros(IDLE)));
        match self.streams.claim(key, now) {
            Some(claim) => Ok(claim),
            None => self.streams.open(key, None, now, self.connect(key, transport)).await,
        }
    }

    async fn connect(&self, key: &Key, transport: &Transport) -> Result<streams::Connection, Error> {
        let (_, address) = key;
        let failed = |source| Error::Connect { address: address.to_string(), source };
        let stream = connect(address, Some(transport)).await.map_err(failed)?;
        let spawner = Spawner::new(&self.tasks);
        let mut builder = Builder::new(spawner.clone());
        builder.timer(TokioTimer::new());
        streams::handshake(&mut builder, stream, &spawner).await.map_err(failed)
    }

    /// Sends `request` on `claim`, and waits for the head of its answer. Each wait for more of the body takes `stall` at
    /// most.
    pub(super) async fn send(
        self: &Arc<Self>,
        key: Key,
        claim: Claim,
        request: Request<Body>,
        transport: &Transport,
        stall: Duration,
    ) -> Result<Response<Body>, Error> {
        let mut request = outgoing(&key.1.name, request, transport)?;
        let mut doubt = Doubt { shared: self, key, claim: Some(claim) };
        loop {
            let Some(claim) = &mut doubt.claim else { return Err(gone(&doubt.key.1.name)) };
            let mut error = match claim.sender.try_send_request(request).await {
                Ok(answer) => {
                    let claim = doubt.claim.take();
                    let until = Box::pin(sleep(stall));
                    let body = |inner| Patient { inner, stall, until, _claim: claim, _pool: self.clone() };
                    return Ok(answer.map(|inner| Body::new(body(inner))));
                }
                Err(error) => error,
            };
            match error.take_message() {
                // It was never sent: the connection had ended.
                Some(unsent) if claim.is_kept => {
                    self.streams.forget(&doubt.key, claim);
                    let opened = self.stream(&doubt.key, transport).await;
                    (request, doubt.claim) = (unsent, Some(opened?));
                }
                unsent => {
                    let (address, source) = (doubt.key.1.to_string(), error.into_error());
                    let is_unprocessed = unsent.is_some() || streams::is_unprocessed(&source);
                    let source = io::Error::other(source);
                    return Err(match is_unprocessed {
                        true => Error::Unprocessed { address, source },
                        false => Error::Broken { address, source },
                    });
                }
            }
        }
    }
}

fn gone(address: &str) -> Error {
    Error::Broken { address: address.to_owned(), source: io::ErrorKind::NotConnected.into() }
}

/// Takes its own connection out of the pool unless an answer has come.
struct Doubt<'s> {
    shared: &'s Shared,
    key: Key,
    claim: Option<Claim>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.shared.streams.forget(&self.key, &claim);
        }
    }
}

/// The request in the words of HTTP/2.
fn outgoing(address: &str, request: Request<Body>, transport: &Transport) -> Result<Request<Body>, Error> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') {
        return Err(Error::Request { why: "its target is not a path" });
    }
    let host = parts.headers.remove(header::HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(address);
    let scheme = if transport.is_tls() { "https" } else { "http" };
    let uri = format!("{scheme}://{host}{target}").parse();
    parts.uri = uri.map_err(|_| Error::Request { why: "its address is none" })?;
    let trailers = parts.headers.remove(header::TE).filter(|te| te == "trailers");
    let unfit: Vec<header::HeaderName> = parts
        .headers
        .keys()
        .filter(|name| {
            **name == header::CONTENT_LENGTH
                || **name == header::EXPECT
                || framing::is_hop_by_hop(name.as_str())
        })
        .cloned()
        .collect();
    unfit.iter().for_each(|name| drop(parts.headers.remove(name)));
    trailers.into_iter().for_each(|te| drop(parts.headers.insert(header::TE, te)));
    parts.version = http::Version::HTTP_2;
    Ok(Request::from_parts(parts, body))
}

/// The body of an answer, of which no wait is longer than `stall`. The pool works its connection, and so lives as long.
struct Patient {
    inner: Incoming,
    stall: Duration,
    until: Pin<Box<Sleep>>,
    _claim: Option<Claim>,
    _pool: Arc<Shared>,
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let until = Instant::now() + self.stall;
            self.until.as_mut().reset(until);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.until.as_mut().poll(cx).map(|()| Some(Err("the rest of the answer did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
