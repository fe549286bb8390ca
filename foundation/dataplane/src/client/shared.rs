//! Connections of HTTP/2: each is shared by all who ask at its address at the same time.
//!
//! Whoever gives up on an answer takes the connection out of the pool, since it may be dead; streams on it go on, and the next
//! request opens another. A connection ends when nobody asks on it and nobody keeps it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep};

use super::{IDLE, Key};
use crate::proxy::tasks::{Spawner, Tasks};
use crate::tls::connect;
use crate::{Body, BoxError, Error, Transport, framing};

/// The connections, by transport and address.
#[derive(Default)]
pub(super) struct Shared {
    open: Mutex<HashMap<Key, (Instant, SendRequest<Body>)>>,
    /// What works them; it ends with the pool.
    tasks: Arc<Tasks>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("open", &self.open().len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<Key, (Instant, SendRequest<Body>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `request`, and waits for the head of its answer. Each wait for more of the body takes `stall` at most.
    pub(super) async fn send(
        self: &Arc<Self>,
        address: &str,
        request: Request<Body>,
        transport: &Transport,
        stall: Duration,
    ) -> Result<Response<Body>, Error> {
        let request = outgoing(address, request, transport)?;
        let key = (transport.id, address.to_owned());
        let mut sender = match self.kept(&key) {
            Some(sender) => sender,
            None => self.connect(&key, transport).await?,
        };
        let mut doubt = Doubt { shared: self, key: Some(key) };
        let answer = sender.send_request(request).await.map_err(|error| broken(address, error))?;
        doubt.key = None;
        let body = |inner| Patient { inner, stall, until: Box::pin(sleep(stall)), _pool: self.clone() };
        Ok(answer.map(|inner| Body::new(body(inner))))
    }

    fn kept(&self, key: &Key) -> Option<SendRequest<Body>> {
        let mut open = self.open();
        // Each look sweeps, so that addresses that are never called again do not keep their connections.
        open.retain(|_, (used, sender)| used.elapsed() < IDLE && !sender.is_closed());
        let (used, sender) = open.get_mut(key)?;
        *used = Instant::now();
        Some(sender.clone())
    }

    async fn connect(&self, key: &Key, transport: &Transport) -> Result<SendRequest<Body>, Error> {
        let (_, address) = key;
        let opened = connect(address, None, Some(transport)).await;
        let stream = opened.map_err(|source| Error::Connect { address: address.clone(), source })?;
        let spawner = Spawner::new(&self.tasks);
        let mut builder = Builder::new(spawner.clone());
        builder.timer(TokioTimer::new());
        let made = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| broken(address, error))?;
        spawner.execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of HTTP/2 to a service ended");
            }
        });
        self.open().insert(key.clone(), (Instant::now(), sender.clone()));
        Ok(sender)
    }
}

/// Takes its connection out of the pool unless an answer has come.
struct Doubt<'s> {
    shared: &'s Shared,
    key: Option<Key>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.open().remove(&key);
        }
    }
}

fn broken(address: &str, error: hyper::Error) -> Error {
    Error::Broken { address: address.to_owned(), source: io::Error::other(error) }
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
