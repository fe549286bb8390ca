//! Forwarding as a value: where one side speaks HTTP/2.
//!
//! The same endpoints, failures and limits as on the path from HTTP/1.1 to HTTP/1.1; only bytes are not copied from one
//! buffer to another there and back, but handed on as frames, and trailers with them.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Sleep, sleep};

use super::account::{failure_of, refusal_of};
use super::exchange::{Tried, Unconnected, link, unconnected};
use super::order::{Given, Route};
use super::pool::Key;
use super::tasks::Spawner;
use super::worker::Worker;
use super::{Failure, Handler};
use crate::client::{self, Connection, Outgoing};
use crate::framing::Refusal;
use crate::ticker::Alarm;
use crate::tls::connect;
use crate::{Body, BoxError, Error, Lease, Protocol, Transport};

/// Sends requests on one connection of HTTP/2.
pub(super) type Sender = http2::SendRequest<Body>;

/// Sends `request` to an endpoint and waits for the head of its answer.
pub(super) async fn run<H: Handler>(
    worker: Arc<Worker<H>>,
    route: Route,
    request: Request<Body>,
    deadline: Option<Instant>,
) -> Given {
    let alarm = Arc::new(worker.ticker.alarm());
    alarm.set_last(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())));
    let stall = worker.options.stall_timeout;
    let pace = Arc::new(Pace { alarm, stall, timeout: route.timeout, refused: OnceLock::new() });
    let request = request.map(|body| Paced::around(body, &pace));
    let protocol = route.transport.as_ref().map_or(Protocol::Http1, |transport| transport.protocol);
    let sent = match protocol {
        Protocol::Http1 => over_http1(&worker, &route, &pace, request).await,
        Protocol::Http2 => over_http2(&worker, &route, &pace, request).await,
    };
    let upstream = Some(route.upstream);
    match sent {
        Ok((response, lease)) => Given { answer: Ok(response), lease: Some(lease), upstream },
        Err(Unsent::Unconnected((failure, lease))) => Given { answer: Err(failure), lease, upstream: None },
        Err(Unsent::Failed(failure, lease)) => {
            // If the request itself broke off, the endpoint could only do so, too.
            let failure = pace.refused.get().map_or(failure, |refusal| Failure::Request(*refusal));
            Given { answer: Err(failure), lease: Some(lease), upstream }
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
    parts.scheme = Some(if is_tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    parts.authority = host.parse().ok();
    if parts.authority.is_none() {
        parts.authority = Some(http::uri::Authority::from_static("localhost"));
    }
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = http::Version::HTTP_2;
    request
}

/// Picks an endpoint, and takes or opens a connection of HTTP/2 to it.
async fn sender<H: Handler>(
    worker: &Arc<Worker<H>>,
    route: &Route,
    alarm: &Alarm,
    tried: &mut Tried,
) -> Result<(Lease, Sender, bool), Unconnected> {
    let Route { upstream, random, transport, .. } = route;
    let transport = transport.as_deref();
    loop {
        let Some(lease) = upstream.pick(*random, tried.ids()) else {
            return Err((Failure::NoEndpoint, None));
        };
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
) -> std::io::Result<Sender> {
    let stream = connect(&lease.state, transport).await?;
    let options = &worker.options;
    let spawner = Spawner::new(&worker.tasks);
    let mut builder = http2::Builder::new(spawner.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(options.http2.ping_interval)
        .keep_alive_timeout(options.http2.ping_timeout)
        .max_header_list_size(u32::try_from(options.head_max).unwrap_or(u32::MAX));
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    hyper::rt::Executor::execute(&spawner, async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of HTTP/2 to an endpoint ended");
        }
    });
    Ok(sender)
}

/// How a request's body comes along, seen from the wait for its answer.
struct Pace {
    alarm: Arc<Alarm>,
    stall: Duration,
    timeout: Duration,
    refused: OnceLock<Refusal>,
}

/// A request's body that sets the alarm: to the stall while it is sent, and to the time for the answer behind its end.
struct Paced {
    body: Body,
    pace: Arc<Pace>,
}

impl Paced {
    fn around(body: Body, pace: &Arc<Pace>) -> Body {
        // What is at hand is sent with the head.
        if body.size_hint().exact() == Some(0) || body.is_full() {
            return body;
        }
        Body::new(Self { body, pace: pace.clone() })
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, pace } = &mut *self;
        pace.alarm.set(pace.stall);
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            Some(Err(error)) => {
                let _ = pace.refused.set(refusal_of(error).unwrap_or(Refusal::Truncated));
            }
            None => pace.alarm.set(pace.timeout),
            Some(Ok(_)) if body.is_end_stream() => pace.alarm.set(pace.timeout),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An endpoint's answer that fails when nothing comes for too long.
struct Watched {
    body: hyper::body::Incoming,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Watched {
    fn new(body: hyper::body::Incoming, stall: Duration) -> Self {
        Self { body, stall, timer: Box::pin(sleep(stall)) }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let next = tokio::time::Instant::now() + this.stall;
                this.timer.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Box::new(Failure::Broken)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(Box::new(Failure::TimedOut))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
