//! From a service to a connection: an endpoint is picked, and a connection to it taken or opened.

use std::io;
use std::sync::Arc;

use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::order::Route;
use super::pool::Key;
use super::senders::Sender;
use super::tasks::Spawner;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::stream::Stream;
use crate::ticker::Alarm;
use crate::tls::connect;
use crate::{Lease, Transport, Unavailable, Upstream, Want};

/// Endpoints that are tried while none accepts a connection.
const CONNECTS_MAX: usize = 3;

/// A connection to an endpoint.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) is_kept: bool,
}

/// Endpoints that accepted no connection.
#[derive(Default)]
pub(super) struct Tried {
    ids: [u64; CONNECTS_MAX],
    count: usize,
}

impl Tried {
    /// Another endpoint than these.
    fn want(&self, random: u64) -> Want<'_> {
        let attempt = 1 + u32::try_from(self.count).unwrap_or(u32::MAX - 1);
        Want { avoid: &self.ids[..self.count], attempt, ..Want::new(random) }
    }

    /// Whether another may be tried.
    fn add(&mut self, id: u64) -> bool {
        self.ids[self.count.min(CONNECTS_MAX - 1)] = id;
        self.count = (self.count + 1).min(CONNECTS_MAX);
        self.count < CONNECTS_MAX
    }
}

/// Why there is no connection, and the endpoint that was tried last. It has been reported already.
pub(super) type Unconnected = (Failure, Option<Lease>);

fn none(why: Unavailable) -> Unconnected {
    (Failure::NoEndpoint(why), None)
}

/// Picks an endpoint and takes or opens a connection of HTTP/1.1 to it.
pub(super) async fn link<H: Handler>(
    worker: &Worker<H>,
    alarm: &Alarm,
    upstream: &Upstream,
    transport: Option<&Transport>,
    random: u64,
    tried: &mut Tried,
) -> Result<(Lease, Link), Unconnected> {
    loop {
        let lease = upstream.pick(&tried.want(random)).map_err(none)?;
        if let Some(stream) = worker.pool.take(Key::new(&lease, transport)) {
            return Ok((lease, Link { stream, is_kept: true }));
        }
        alarm.set(worker.options.connect_timeout);
        match alarm.bound(connect(lease.address(), lease.state.socket, transport)).await {
            Some(Ok(stream)) => return Ok((lease, Link { stream, is_kept: false })),
            outcome => {
                upstream.failed(&lease);
                if !tried.add(lease.id()) || !alarm.is_before_last() {
                    return Err((
                        unconnected(outcome.as_ref().and_then(|tried| tried.as_ref().err())),
                        Some(lease),
                    ));
                }
            }
        }
    }
}

/// What a connection that could not be opened is to the client; without an error it was too slow.
fn unconnected(error: Option<&io::Error>) -> Failure {
    if error.is_some() { Failure::Connect } else { Failure::TimedOut }
}

/// Picks an endpoint, and takes or opens a connection of HTTP/2 to it.
pub(super) async fn sender<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    alarm: &Alarm,
    tried: &mut Tried,
) -> Result<(Lease, Sender, bool), Unconnected> {
    let Route { upstream, random, transport, .. } = route;
    let transport = transport.as_deref();
    loop {
        let lease = upstream.pick(&tried.want(*random)).map_err(none)?;
        let key = Key::new(&lease, transport);
        if let Some(sender) = worker.senders.get(key, worker.ticker.now()) {
            return Ok((lease, sender, true));
        }
        alarm.set(worker.options.connect_timeout);
        match alarm.bound(open(worker, &lease, transport)).await {
            Some(Ok(sender)) => {
                worker.senders.put(key, sender.clone(), worker.ticker.now());
                return Ok((lease, sender, false));
            }
            outcome => {
                upstream.failed(&lease);
                if !tried.add(lease.id()) || !alarm.is_before_last() {
                    let error = outcome.as_ref().and_then(|opened| opened.as_ref().err());
                    return Err((unconnected(error), Some(lease)));
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
