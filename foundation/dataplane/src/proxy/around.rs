//! What stands around an exchange, and sees its bodies.
//!
//! ```text
//! client ─► request ─► Around ─► Next::ask ─► an endpoint, or a service
//!        ◄─ answer  ◄─        ◄─
//! ```
//!
//! A request that nobody stands around never comes near this; one that somebody does becomes a value. How often the
//! next is asked is up to who stands there: not at all, once, or again with another request. Each answer is reported to
//! its endpoint by how it went, whatever is made of it for the client.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Poller, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor as _;

use super::account::{Asked, failure_of, report};
use super::order::{By, Given};
use super::tasks::Spawner;
use super::worker::Worker;
use super::{Context, Failure, Handler};
use crate::{Body, BoxError, Lease, Upstream};

/// Stands around exchanges.
pub trait Around: Send + Sync {
    /// Answers `request`, which is as it would be sent on, by asking `next` or without it. The future is dropped when
    /// the client goes away or the time is over. A failure becomes the problem document that stands for it.
    fn around(
        &self,
        request: Request<Body>,
        next: Next,
        context: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>>;
}

/// In the extensions of a request: its idempotency key was given to it by who stands around it, and not by its client. Nobody
/// has said that the service knows keys, so the request is not sent again because it has one.
#[derive(Clone, Copy, Debug)]
pub struct OwnKey;

/// In the extensions of a request: whether anything of it may have reached an endpoint, over all of its attempts. Where it is
/// still unset after [`Failure::Connect`] or [`Failure::NoEndpoint`], nobody has heard of the request.
#[derive(Clone, Debug, Default)]
pub struct Departed(Arc<AtomicBool>);

impl Departed {
    /// Something may have arrived.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether something may have.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// In the extensions of requests: counts the attempts to have them answered, of all requests that carry the same one together.
#[derive(Clone, Debug, Default)]
pub struct AttemptCount(Arc<AtomicU32>);

impl AttemptCount {
    /// One more has begun.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The last one was none after all.
    pub(crate) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many have begun.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Both: what `outer` asks goes through `inner`.
pub fn nested(outer: Arc<dyn Around>, inner: Arc<dyn Around>) -> Arc<dyn Around> {
    Arc::new(Nested { outer, inner })
}

struct Nested {
    outer: Arc<dyn Around>,
    inner: Arc<dyn Around>,
}

impl Around for Nested {
    fn around(
        &self,
        request: Request<Body>,
        next: Next,
        context: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        let (inner, beside, given) = (self.inner.clone(), next.beside.clone(), context.clone());
        let ask = move |request| inner.around(request, next.clone(), given.clone());
        self.outer.around(request, Next { ask: Arc::new(ask), beside }, context)
    }
}

type Asking = dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Failure>> + Send + Sync;
type Beside = dyn Fn(BoxFuture<'static, ()>) + Send + Sync;

/// What a request goes on to. Cloning it copies nothing.
#[derive(Clone)]
pub struct Next {
    ask: Arc<Asking>,
    beside: Arc<Beside>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

impl Next {
    /// Asks, and waits for the head of the answer.
    pub fn ask(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        (self.ask)(request)
    }

    /// Does `work` beside the requests, also when this one has ended. It is dropped when the worker stops; whoever hands
    /// it over bounds how much of it there is.
    pub fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        (self.beside)(Box::pin(work));
    }
}

/// How often an endpoint was asked, and which last.
type Tally = Arc<Mutex<(u32, Option<Asked>)>>;

/// Answers through `around`, and says where the answer came from.
pub(super) async fn run<H: Handler>(
    worker: Arc<Worker<H>>,
    around: Arc<dyn Around>,
    inner: By,
    request: Request<Body>,
    context: Context,
) -> Given {
    let tally = Tally::default();
    let spawner = Spawner::new(&worker.tasks);
    let (last, given) = (tally.clone(), context.clone());
    let ask = move |request| -> BoxFuture<'static, _> {
        Box::pin(one(inner.clone(), worker.clone(), request, given.clone(), last.clone()))
    };
    let beside = move |work| spawner.execute(work);
    let next = Next { ask: Arc::new(ask), beside: Arc::new(beside) };
    let answer = around.around(request, next, context).await;
    let (attempts, asked) = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    Given { answer, lease: None, upstream: None, attempts, asked }
}

async fn one<H: Handler>(
    by: By,
    worker: Arc<Worker<H>>,
    request: Request<Body>,
    context: Context,
    tally: Tally,
) -> Result<Response<Body>, Failure> {
    let Given { answer, lease, upstream, attempts, .. } = by.answer(&worker, request, context).await;
    if let (Ok(_), Some(upstream), Some(lease)) = (&answer, &upstream, &lease) {
        upstream.heard(lease);
    }
    if let Some(lease) = &lease {
        let waited = upstream.as_ref().map(|upstream| upstream.waited(lease));
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, authority) = (lease.address().clone(), lease.state.at.name.clone());
        *tally = (tally.0 + attempts, Some(Asked { address, authority, waited }));
    }
    match (answer, upstream, lease) {
        (Ok(response), Some(upstream), Some(lease)) => {
            let status = response.status().as_u16();
            Ok(response.map(|body| Body::new(Lent { body, status, upstream, lease: Some(lease) })))
        }
        (Err(failure), Some(upstream), Some(lease)) => {
            report(&upstream, &lease, 0, Some(failure));
            Err(failure)
        }
        (answer, ..) => answer,
    }
}

/// The body of an endpoint's answer, which tells the endpoint's service how it ended.
struct Lent {
    body: Body,
    status: u16,
    upstream: Arc<Upstream>,
    lease: Option<Lease>,
}

impl Lent {
    fn ended(&mut self, failure: Option<Failure>) {
        if let Some(lease) = self.lease.take() {
            report(&self.upstream, &lease, self.status, failure);
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.ended(None),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.ended(None),
            Poll::Ready(Some(Err(error))) => {
                let failure = failure_of(error);
                self.ended(Some(failure));
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    /// An answer without a body is never read.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.ended(None);
        }
    }
}
