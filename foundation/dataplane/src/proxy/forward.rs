//! Forwarding as a value: where one side speaks HTTP/2.
//!
//! The same endpoints, failures and limits as on the path from HTTP/1.1 to HTTP/1.1; only bytes are not copied from one
//! buffer to another there and back, but handed on as frames, and trailers with them.

use std::sync::Arc;
use std::time::Instant;

use http::{Request, Response, Uri, header, uri};

use super::account::{failure_of, refusal_of};
use super::dial::{Tried, Unconnected, link, sender};
use super::order::{Given, Route};
use super::paced::{Pace, Paced, Watched};
use super::pool::Key;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::client::{self, Connection, Outgoing};
use crate::framing::Refusal;
use crate::{Body, BoxError, Error, Lease, Protocol, Transport};

/// Sends `request` to an endpoint and waits for the head of its answer.
pub(super) async fn run<H: Handler>(
    worker: Arc<Worker<H>>,
    route: Route,
    request: Request<Body>,
    deadline: Option<Instant>,
) -> Given {
    let alarm = worker.ticker.alarm();
    alarm.set_last(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())));
    let stall = worker.options.stall_timeout;
    let pace = Arc::new(Pace::new(alarm, stall, route.timeout));
    let request = request.map(|body| Paced::around(body, &pace));
    let protocol = route.transport.as_ref().map_or(Protocol::Http1, |transport| transport.protocol);
    let sent = match protocol {
        Protocol::Http1 => over_http1(&worker, &route, &pace, request).await,
        Protocol::Http2 => over_http2(&worker, &route, &pace, request).await,
    };
    let upstream = Some(route.upstream);
    match sent {
        Ok((response, lease)) => Given { answer: Ok(response), lease: Some(lease), upstream, asked: None },
        Err(Unsent::Unconnected((failure, lease))) => {
            Given { answer: Err(failure), lease, upstream: None, asked: None }
        }
        Err(Unsent::Failed(failure, lease)) => {
            // If the request itself broke off, the endpoint could only do so, too.
            let failure = pace.refused().map_or(failure, Failure::Request);
            Given { answer: Err(failure), lease: Some(lease), upstream, asked: None }
        }
    }
}

enum Unsent {
    Unconnected(Unconnected),
    Failed(Failure, Lease),
}

impl From<Unconnected> for Unsent {
    fn from(unconnected: Unconnected) -> Self {
        Self::Unconnected(unconnected)
    }
}

async fn over_http1<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    pace: &Arc<Pace>,
    request: Request<Body>,
) -> Result<(Response<Body>, Lease), Unsent> {
    let Route { upstream, random, timeout, transport } = route;
    let transport = transport.as_deref();
    let mut tried = Tried::default();
    let mut outgoing = Some(Outgoing::new("", request));
    let mut replaced = false;
    loop {
        let (lease, link) = link(worker, &pace.alarm, upstream, transport, *random, &mut tried).await?;
        let key = Key::new(&lease, transport);
        let Some(Ok(sending)) = outgoing.take() else {
            return Err(Unsent::Failed(Failure::Request(Refusal::Malformed), lease));
        };
        let again = if link.is_kept && !replaced { sending.again() } else { None };
        let keeper = worker.clone();
        let keep = move |connection: Connection| {
            keeper.pool.put(key, connection.stream, keeper.ticker.now());
        };
        pace.alarm.set(*timeout);
        let connection = Connection::new(link.stream);
        let stall = worker.options.stall_timeout;
        let address = lease.address().clone();
        let exchanged = client::exchange(connection, sending, &address, stall, Box::new(keep));
        match pace.alarm.bound(exchanged).await {
            Some(Ok(response)) => return Ok((response, lease)),
            Some(Err(failed)) if failed.untouched && again.is_some() => {
                // It was dead before we wrote to it. The others that were kept are likely to be, too.
                replaced = true;
                outgoing = again.map(Ok);
                worker.pool.forget(key);
            }
            Some(Err(failed)) => return Err(Unsent::Failed(failure_in(failed.error), lease)),
            None => return Err(Unsent::Failed(Failure::TimedOut, lease)),
        }
    }
}

fn failure_in(error: Error) -> Failure {
    match error {
        Error::Body { source } => Failure::Request(refusal_of(&source).unwrap_or(Refusal::Truncated)),
        Error::Request { .. } => Failure::Request(Refusal::Malformed),
        other => failure_of(&(Box::new(other) as BoxError)),
    }
}

async fn over_http2<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    pace: &Arc<Pace>,
    request: Request<Body>,
) -> Result<(Response<Body>, Lease), Unsent> {
    let mut tried = Tried::default();
    let mut request = addressed(request, route.transport.as_deref());
    let mut replaced = false;
    loop {
        let (lease, mut sender, is_kept) = sender(worker, route, &pace.alarm, &mut tried).await?;
        pace.alarm.set(route.timeout);
        match pace.alarm.bound(sender.try_send_request(request)).await {
            Some(Ok(response)) => {
                let stall = worker.options.stall_timeout;
                return Ok((response.map(|body| Body::new(Watched::new(body, stall))), lease));
            }
            Some(Err(mut error)) => match error.take_message() {
                // It was never sent: the connection had ended.
                Some(unsent) if is_kept && !replaced => {
                    replaced = true;
                    request = unsent;
                    worker.senders.forget(Key::new(&lease, route.transport.as_deref()));
                }
                _ => return Err(Unsent::Failed(Failure::Broken, lease)),
            },
            None => return Err(Unsent::Failed(Failure::TimedOut, lease)),
        }
    }
}

/// In HTTP/2 a request's target is its whole address; the host that the client asked for is its authority.
fn addressed(mut request: Request<Body>, transport: Option<&Transport>) -> Request<Body> {
    let host = request.headers_mut().remove(header::HOST);
    let is_tls = transport.is_some_and(Transport::is_tls);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if is_tls { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    parts.authority = host.parse().ok();
    if parts.authority.is_none() {
        parts.authority = Some(uri::Authority::from_static("localhost"));
    }
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = http::Version::HTTP_2;
    request
}
