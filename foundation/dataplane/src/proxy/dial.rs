//! From a service to a connection: an endpoint is picked, and a connection to it taken or opened.
//!
//! While no connection can be opened nothing has been sent, so another endpoint is tried whatever the request is, as often
//! as the service's policy says and its budget pays for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::sleep;

use super::order::Route;
use super::pool::Key;
use super::senders::Sender;
use super::tasks::Spawner;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::resilience::{Attempt, Cause, Decision};
use crate::stream::Stream;
use crate::ticker::Alarm;
use crate::tls::connect;
use crate::{Lease, Transport, Unavailable, Want};

/// Endpoints that are avoided because they were tried for the same request.
const AVOIDED_MAX: usize = 8;

/// A connection to an endpoint.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) is_kept: bool,
}

/// The endpoints that were tried for a request, and how often one was. Shared by attempts that run side by side.
#[derive(Default)]
pub(super) struct Tried {
    ids: [AtomicU64; AVOIDED_MAX],
    count: AtomicU32,
}

impl Tried {
    /// Attempts that were begun.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// One more, on this endpoint. The oldest is forgotten when there are too many to remember.
    fn add(&self, id: u64) {
        let at = self.count.fetch_add(1, Ordering::Relaxed) as usize;
        self.ids[at % AVOIDED_MAX].store(id, Ordering::Relaxed);
    }

    /// The last attempt was none: nothing left on a connection that had ended.
    pub(super) fn take_back(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Another endpoint than these.
    async fn pick(&self, route: &Route, alarm: &Alarm) -> Result<Lease, Unconnected> {
        let ids: [u64; AVOIDED_MAX] = std::array::from_fn(|at| self.ids[at].load(Ordering::Relaxed));
        let count = self.count();
        let avoid = &ids[..AVOIDED_MAX.min(count as usize)];
        let want = Want { avoid, attempt: count + 1, key: route.key, ..Want::new(route.random) };
        let patience = alarm.left().map_or(route.timeout, |left| left.min(route.timeout));
        let lease = route.upstream.pick_or_wait(&want, patience).await.map_err(none)?;
        self.add(lease.id());
        Ok(lease)
    }

    /// Whether another endpoint is tried after one that could not be connected to. Waits as long as that takes.
    async fn again(&self, route: &Route, alarm: &Alarm) -> bool {
        let attempt = Attempt {
            number: self.count(),
            cause: Cause::Connect,
            is_idempotent: false,
            is_replayable: false,
            left: alarm.left(),
            retry_after: None,
            is_retried_elsewhere: false,
            random: route.random.rotate_left(self.count() % 64),
        };
        match route.upstream.retry(&attempt) {
            Decision::Retry { after } if after.is_zero() => true,
            Decision::Retry { after } => {
                sleep(after).await;
                true
            }
            Decision::GiveUp(_) => false,
        }
    }
}

/// Why there is no connection, and the endpoint that was tried last. It has been reported already.
pub(super) type Unconnected = (Failure, Option<Lease>);

fn none(why: Unavailable) -> Unconnected {
    (Failure::NoEndpoint(why), None)
}

/// Picks an endpoint and takes or opens a connection of HTTP/1.1 to it. No attempt to open one takes longer than
/// `within`.
pub(super) async fn link<H: Handler>(
    worker: &Worker<H>,
    route: &Route,
    alarm: &Alarm,
    tried: &Tried,
    within: Duration,
) -> Result<(Lease, Link), Unconnected> {
    let transport = route.transport.as_deref();
    loop {
        let lease = tried.pick(route, alarm).await?;
        if let Some(stream) = worker.pool.take(&lease, Key::new(&lease, transport), worker.ticker.now()) {
            return Ok((lease, Link { stream, is_kept: true }));
        }
        alarm.set(route.upstream.policy().connect_timeout.min(within));
        match alarm.bound(connect(lease.address(), lease.state.socket, transport)).await {
            Some(Ok(stream)) => return Ok((lease, Link { stream, is_kept: false })),
            outcome => {
                let error = outcome.as_ref().and_then(|opened| opened.as_ref().err());
                let failure = unconnected(error);
                report(route, alarm, &lease, failure);
                if !tried.again(route, alarm).await {
                    return Err((failure, Some(lease)));
                }
            }
        }
    }
}

/// Tells the service of a connection that could not be opened, unless it was only the request's time that was over.
fn report(route: &Route, alarm: &Alarm, lease: &Lease, failure: Failure) {
    if failure == Failure::Connect || alarm.left() != Some(Duration::ZERO) {
        route.upstream.failed(lease);
    }
}

/// What a connection that could not be opened is to the client; without an error it was too slow.
fn unconnected(error: Option<&io::Error>) -> Failure {
    if error.is_some() { Failure::Connect } else { Failure::TimedOut }
}

/// The same for a connection of HTTP/2. The flag says whether it was open already.
pub(super) async fn sender<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    alarm: &Alarm,
    tried: &Tried,
    within: Duration,
) -> Result<(Lease, Sender, bool), Unconnected> {
    let transport = route.transport.as_deref();
    loop {
        let lease = tried.pick(route, alarm).await?;
        let key = Key::new(&lease, transport);
        if let Some(sender) = worker.senders.get(key, worker.ticker.now()) {
            return Ok((lease, sender, true));
        }
        alarm.set(route.upstream.policy().connect_timeout.min(within));
        match alarm.bound(open(worker, &lease, transport)).await {
            Some(Ok(sender)) => {
                worker.senders.put(&lease, key, sender.clone(), worker.ticker.now());
                return Ok((lease, sender, false));
            }
            outcome => {
                let error = outcome.as_ref().and_then(|opened| opened.as_ref().err());
                let failure = unconnected(error);
                report(route, alarm, &lease, failure);
                if !tried.again(route, alarm).await {
                    return Err((failure, Some(lease)));
                }
            }
        }
    }
}

async fn open<H: Handler>(
    worker: &Arc<Worker<H>>,
    lease: &Lease,
    transport: Option<&Transport>,
) -> io::Result<Sender> {
    let stream = connect(lease.address(), lease.state.socket, transport).await?;
    let options = &worker.options;
    let spawner = Spawner::new(&worker.tasks);
    let mut builder = http2::Builder::new(spawner.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(options.http2.ping_interval)
        .keep_alive_timeout(options.http2.ping_timeout)
        .max_header_list_size(u32::try_from(options.head_max).unwrap_or(u32::MAX));
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    spawner.execute(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of HTTP/2 to an endpoint ended");
        }
    });
    Ok(sender)
}
