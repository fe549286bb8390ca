//! The decisions that a proxy leaves to its user.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::{Answered, Changes, Fields, Reply};
use crate::framing::{Field, Refusal, RequestHead};
use crate::{Body, TlsSession, Transport, Upstream};

/// Says what becomes of each request. Called on the worker's thread, so nothing here may block.
pub trait Handler: Send + Sync + 'static {
    /// What the handler remembers of a request from [`Handler::begin`] to [`Handler::end`].
    type Ticket: Send + 'static;

    /// Decides. The request's head is well-formed and its path canonical.
    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<Self::Ticket>;

    /// Called once for each request that began, however it ended.
    fn end(&self, ticket: Self::Ticket, outcome: &Outcome<'_>);

    /// Whether a request's header is kept from the endpoint.
    fn strips_from_request(&self, request: &Incoming<'_>, name: &str) -> bool;

    /// Whether a response's header is kept from the client.
    fn strips_from_response(&self, name: &str) -> bool;

    /// Changes the head of an answer on its way to the client: an endpoint's, a service's, or the problem document
    /// that stands in for one. A [`Reply`] is as the handler made it, and does not come by here.
    fn amend(&self, ticket: &mut Self::Ticket, answer: &Answered<'_>, changes: &mut Changes) {
        let _ = (ticket, answer, changes);
    }
}

/// A request that has just been read.
#[derive(Debug)]
pub struct Incoming<'r> {
    /// Which worker asks, from 0: an index for what is kept per worker.
    pub worker: usize,
    /// Where the client's connection comes from.
    pub peer: SocketAddr,
    /// What was agreed on with the client, if it speaks TLS.
    pub tls: Option<&'r Arc<TlsSession>>,
    /// The head as sent.
    pub head: &'r RequestHead<'r, 'r>,
    /// The canonical path.
    pub path: &'r str,
    /// The canonical query, without the `?`.
    pub query: Option<&'r str>,
    /// When the head was complete.
    pub started: Instant,
}

impl<'r> Incoming<'r> {
    /// The first header called `name`.
    pub fn field(&self, name: &str) -> Option<&'r [u8]> {
        let fields: &'r [Field<'r>] = self.head.fields;
        fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

/// The request as it will be sent on.
#[derive(Debug)]
pub struct Outgoing<'o> {
    /// Path and query; the client's canonical ones unless the handler changes them. Must stay canonical.
    pub target: &'o mut String,
    pub(crate) fields: &'o mut Fields,
}

impl Outgoing<'_> {
    /// Adds a header. A value that cannot stand in one (a line end, a control character) is left out.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        self.fields.add(name, value);
    }
}

/// What becomes of a request.
pub enum Verdict<T> {
    /// It goes to a service.
    Forward(Forward<T>),
    /// It is answered here.
    Reply(Reply, T),
    /// It is answered by something that takes its time.
    Serve(Serving<T>),
    /// That depends on I/O. Whoever makes the decision bounds how long it takes.
    ///
    /// If the client goes away first, the decision is dropped and the ticket beside it ends; otherwise that ticket is
    /// dropped, and the decision brings one.
    Later(BoxFuture<'static, Decision<T>>, T),
}

impl<T: std::fmt::Debug> std::fmt::Debug for Verdict<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forward(forward) => forward.fmt(f),
            Self::Reply(reply, _) => reply.fmt(f),
            Self::Serve(serving) => serving.fmt(f),
            Self::Later(_, ticket) => f.debug_tuple("Later").field(ticket).finish_non_exhaustive(),
        }
    }
}

/// What a [`Verdict::Later`] comes to.
#[derive(Debug)]
pub struct Decision<T> {
    /// What becomes of the request after all.
    pub verdict: Verdict<T>,
    /// Headers added to the request, besides those that [`Handler::begin`] added.
    pub fields: Fields,
    /// Path and query, if they change. Must be canonical.
    pub target: Option<String>,
}

impl<T> Decision<T> {
    /// A decision that changes nothing in the request.
    pub fn new(verdict: Verdict<T>) -> Self {
        Self { verdict, fields: Fields::default(), target: None }
    }
}

/// To which service, and within which limits.
#[derive(Debug)]
pub struct Forward<T> {
    /// The service.
    pub upstream: Arc<Upstream>,
    /// Chooses between endpoints that are equally good.
    pub random: u64,
    /// The most that its body may hold.
    pub body_max: u64,
    /// How long the endpoint may take from the end of the request to the head of its answer.
    pub timeout: Duration,
    /// How long all of it may take, the bodies included.
    pub total: Option<Duration>,
    /// How the service is spoken to; plain HTTP/1.1 without.
    pub transport: Option<Arc<Transport>>,
    /// Whether a WebSocket may be opened, and for how long it may then be silent. Only over HTTP/1.1 on both sides.
    pub websocket: Option<Duration>,
    /// Handed back at the end.
    pub ticket: T,
}

impl<T> Forward<T> {
    /// To `upstream` in plain HTTP/1.1: 16 MiB of body, 60 seconds to the answer's head, no other bound.
    pub fn new(upstream: Arc<Upstream>, random: u64, ticket: T) -> Self {
        Self {
            upstream,
            random,
            body_max: 16 * 1024 * 1024,
            timeout: Duration::from_secs(60),
            total: None,
            transport: None,
            websocket: None,
            ticket,
        }
    }
}

/// By whom a request is answered, and within which limits.
pub struct Serving<T> {
    /// Answers.
    pub service: Arc<dyn Serve>,
    /// The most that the request's body may hold; what is beyond is an error of that body.
    pub body_max: u64,
    /// How long all of it may take, the bodies included.
    pub total: Option<Duration>,
    /// Handed back at the end.
    pub ticket: T,
}

impl<T> std::fmt::Debug for Serving<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving")
            .field("body_max", &self.body_max)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// Answers requests, each in a future of its own.
pub trait Serve: Send + Sync {
    /// Answers one request, which is as it would be sent to an endpoint: canonical target, headers stripped and added.
    ///
    /// Its body comes in as it is read, and the answer's goes out as it is made. The future is dropped when the client
    /// goes away or the time is over, and the answer's body likewise. An error of the answer's body cuts the answer
    /// off; the client sees that something is missing.
    fn serve(
        &self,
        request: http::Request<Body>,
        context: Context,
    ) -> BoxFuture<'static, http::Response<Body>>;
}

/// Where a request that is served comes from.
#[derive(Clone, Debug)]
pub struct Context {
    /// Which worker serves it, from 0.
    pub worker: usize,
    /// Where the client's connection comes from.
    pub peer: SocketAddr,
    /// What was agreed on with the client, if it speaks TLS.
    pub tls: Option<Arc<TlsSession>>,
    /// When its head was complete.
    pub started: Instant,
    /// When it is cut, if ever.
    pub deadline: Option<Instant>,
}

/// Why a request did not get its service's answer, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The service has no endpoint that may take traffic.
    #[error("no endpoint is healthy")]
    NoEndpoint,
    /// No endpoint accepted a connection.
    #[error("the endpoint cannot be connected to")]
    Connect,
    /// The connection to the endpoint broke.
    #[error("the connection to the endpoint broke")]
    Broken,
    /// The endpoint's answer is refused.
    #[error("the endpoint's answer is refused: {0}")]
    Refused(Refusal),
    /// The endpoint took too long.
    #[error("the endpoint took too long")]
    TimedOut,
    /// Nothing went through a WebSocket for too long.
    #[error("nothing came for too long")]
    Idle,
    /// The client's request is refused, at its head or further on.
    #[error("the request is refused: {0}")]
    Request(Refusal),
    /// The client went away.
    #[error("the client went away")]
    ClientGone,
    /// The proxy was stopped before the answer was complete.
    #[error("cut at the end of a stop")]
    Stopped,
}

impl Failure {
    /// Whether the endpoint is to blame.
    pub(crate) fn is_of_endpoint(self) -> bool {
        matches!(self, Self::Connect | Self::Broken | Self::Refused(_) | Self::TimedOut)
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Outcome<'o> {
    /// Which worker served it.
    pub worker: usize,
    /// The status that the client was sent; 499 if it went away before.
    pub status: u16,
    /// The endpoint that was asked last.
    pub address: Option<&'o Arc<str>>,
    /// How long it took.
    pub elapsed: Duration,
    /// Bytes of body from the client.
    pub bytes_in: u64,
    /// Bytes of body to the client.
    pub bytes_out: u64,
    /// What went wrong.
    pub failure: Option<Failure>,
}
