//! What can become of a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::{Around, Cutoff, Fields, Names, Reply, Trail};
use crate::resilience::Priority;
use crate::{Body, TlsSession, Transport, Upstream};

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

impl<T> Verdict<T> {
    /// What the handler remembers of the request.
    pub(super) fn ticket(&self) -> &T {
        match self {
            Self::Forward(forward) => &forward.ticket,
            Self::Serve(serving) => &serving.ticket,
            Self::Reply(_, ticket) | Self::Later(_, ticket) => ticket,
        }
    }
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
    /// Headers added to the request, besides those that [`begin`](super::Handler::begin) added.
    pub fields: Fields,
    /// Path and query, if they change. Must be canonical.
    pub target: Option<String>,
    /// Headers of the client's that are taken out.
    pub dropped: Names,
    /// The host that is asked for instead of the client's, if it can be one.
    pub host: Option<String>,
}

impl<T> Decision<T> {
    /// A decision that changes nothing in the request.
    pub fn new(verdict: Verdict<T>) -> Self {
        Self { verdict, fields: Fields::default(), target: None, dropped: Names::default(), host: None }
    }
}

/// To which service, and within which limits.
pub struct Forward<T> {
    /// The service.
    pub upstream: Arc<Upstream>,
    /// Chooses between endpoints that are equally good.
    pub random: u64,
    /// What has to go to the same endpoint has the same key, where the service balances by it.
    pub key: Option<u64>,
    /// Who goes first when the service cannot serve all.
    pub priority: Priority,
    /// The most that its body may hold.
    pub body_max: u64,
    /// How long it may take from the end of the request to the head of an answer, all attempts together.
    pub timeout: Duration,
    /// How long all of it may take, the bodies included; less if the client says so. Services are told what is left.
    pub total: Option<Duration>,
    /// When its answer is cut although the service goes on, if somebody says so.
    pub cutoff: Option<Arc<Cutoff>>,
    /// How the service is spoken to; plain HTTP/1.1 without.
    pub transport: Option<Arc<Transport>>,
    /// Whether a WebSocket may be opened, and for how long it may then be silent. Only over HTTP/1.1 on both sides.
    pub websocket: Option<Duration>,
    /// Who stands around the exchange, if anybody does. A WebSocket passes them by.
    pub around: Option<Arc<dyn Around>>,
    /// Who hears of each attempt, where there may be several. One from HTTP/1.1 to HTTP/1.1 that is never repeated is told by
    /// its [`Outcome`](super::Outcome) alone.
    pub trail: Option<Arc<dyn Trail>>,
    /// Handed back at the end.
    pub ticket: T,
}

impl<T> std::fmt::Debug for Forward<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward")
            .field("upstream", self.upstream.service())
            .field("body_max", &self.body_max)
            .field("timeout", &self.timeout)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl<T> Forward<T> {
    /// To `upstream` in plain HTTP/1.1: 16 MiB of body, 60 seconds to the answer's head, no other bound.
    pub fn new(upstream: Arc<Upstream>, random: u64, ticket: T) -> Self {
        Self {
            upstream,
            random,
            key: None,
            priority: Priority::default(),
            body_max: 16 * 1024 * 1024,
            timeout: Duration::from_secs(60),
            total: None,
            cutoff: None,
            transport: None,
            websocket: None,
            around: None,
            trail: None,
            ticket,
        }
    }
}

/// By whom a request is answered, and within which limits.
pub struct Serving<T> {
    /// Answers.
    pub service: Arc<dyn Serve>,
    /// Who stands around the exchange, if anybody does.
    pub around: Option<Arc<dyn Around>>,
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
