//! From a service to a connection: an endpoint is picked, and a connection to it taken or opened.
//!
//! While no connection can be opened nothing has been sent, so another endpoint is tried whatever the request is, as often
//! as the service's policy says and its budget pays for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::time::sleep;

use super::order::Route;
use super::pool::Key;
use super::tasks::Spawner;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::attempts::Tried;
use crate::resilience::{Attempt, Cause, Decision};
use crate::stream::Stream;
use crate::streams::{self, Claim, Connection};
use crate::ticker::Alarm;
use crate::tls::connect;
use crate::{Lease, Transport, Unavailable};

/// A connection to an endpoint.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) is_kept: bool,
}

impl Tried {
    /// Another endpoint than these, for a request on `route`.
    async fn on(&self, route: &Route, alarm: &Alarm) -> Result<Lease, Unconnected> {
        let patience = alarm.left().map_or(route.timeout, |left| left.min(route.timeout));
        let wants = (route.key, route.priority);
        self.pick(&route.upstream, wants, route.random, patience).await.map_err(none)
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
        let lease = tried.on(route, alarm).await?;
        if let Some(stream) = worker.pool.take(&lease, Key::new(&lease, transport), worker.ticker.now()) {
            return Ok((lease, Link { stream, is_kept: true }));
        }
        alarm.set(route.upstream.policy().connect_timeout.min(within));
        match alarm.bound(connect(&lease.state.at, transport)).await {
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

/// The same for a stream on a connection of HTTP/2.
pub(super) async fn stream<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    alarm: &Alarm,
    tried: &Tried,
    within: Duration,
) -> Result<(Lease, Claim), Unconnected> {
    let transport = route.transport.as_deref();
    loop {
        let lease = tried.on(route, alarm).await?;
        let (key, now) = (Key::new(&lease, transport), worker.ticker.now());
        if let Some(stream) = worker.streams.claim(&key, now) {
            return Ok((lease, stream));
        }
        alarm.set(route.upstream.policy().connect_timeout.min(within));
        let opened = worker.streams.open(&key, Some(&lease.state), now, open(worker, &lease, transport));
        match alarm.bound(opened).await {
            Some(Ok(stream)) => return Ok((lease, stream)),
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
) -> io::Result<Connection> {
    let stream = connect(&lease.state.at, transport).await?;
    let options = &worker.options;
    let spawner = Spawner::new(&worker.tasks);
    let mut builder = http2::Builder::new(spawner.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(options.http2.ping_interval)
        .keep_alive_timeout(options.http2.ping_timeout)
        .max_header_list_size(u32::try_from(options.head_max).unwrap_or(u32::MAX));
    streams::handshake(&mut builder, stream, &spawner).await
}
