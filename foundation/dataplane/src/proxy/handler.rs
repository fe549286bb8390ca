//! The decisions that a proxy leaves to its user.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fields::Edits;
use super::{Answered, Changes, Verdict};
use crate::framing::{Field, Refusal, RequestHead};
use crate::{TlsSession, Unavailable};

/// Says what becomes of each request. Called on the worker's thread, so nothing here may block.
pub trait Handler: Send + Sync + 'static {
    /// What the handler remembers of a request from [`Handler::begin`] to [`Handler::end`].
    type Ticket: Send + 'static;

    /// Decides. The request's head is well-formed and its path canonical.
    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<Self::Ticket>;

    /// Called once for each request that began, however it ended.
    fn end(&self, ticket: Self::Ticket, outcome: &Outcome<'_>);

    /// Whether a header of the ticket's request is kept from the endpoint.
    fn strips_from_request(&self, ticket: &Self::Ticket, name: &str) -> bool;

    /// Whether a response's header is kept from the client.
    fn strips_from_response(&self, name: &str) -> bool;

    /// Changes the head of an answer on its way to the client: an endpoint's, a service's, or the problem document
    /// that stands in for one. A [`Reply`](super::Reply) is as the handler made it, and does not come by here.
    fn amend(&self, ticket: &mut Self::Ticket, answer: &Answered<'_>, changes: &mut Changes) {
        let _ = (ticket, answer, changes);
    }

    /// How many connections clients at this address may have at one time, over all workers; any number without. Those of
    /// one customer's network of IPv6, a /64, count together. Asked for each connection before anything is read from it.
    fn connections_max(&self, address: IpAddr) -> Option<usize> {
        let _ = address;
        None
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
    /// Which HTTP the client speaks.
    pub version: http::Version,
    /// The head as sent.
    pub head: &'r RequestHead<'r, 'r>,
    /// The canonical path.
    pub path: &'r str,
    /// The canonical query, without the `?`.
    pub query: Option<&'r str>,
    /// When the head was complete.
    pub started: Instant,
    /// Whether its body came with the head, or it has none: nothing more is waited for from the client.
    pub is_whole: bool,
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
    pub(super) edits: &'o mut Edits,
}

impl Outgoing<'_> {
    /// Adds a header. A value that cannot stand in one (a line end, a control character) is left out.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        self.edits.added.add(name, value);
    }

    /// Takes out all headers of this name that the client sent.
    pub fn remove(&mut self, name: &str) {
        self.edits.dropped.add(name);
    }

    /// Asks for this host instead of the client's, if it can be one.
    pub fn set_host(&mut self, host: String) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if !host.is_empty() && host.bytes().all(allowed) {
            self.edits.host = Some(host);
        }
    }
}

/// Why a request did not get its service's answer, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The service has no endpoint for this request.
    #[error(transparent)]
    NoEndpoint(Unavailable),
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
    /// The time that the client gave is over. It says nothing of the endpoint: whoever is in a hurry must not be able to
    /// have endpoints taken for dead.
    #[error("the time that the client gave is over")]
    NoTime,
    /// Nothing went through a WebSocket for too long.
    #[error("nothing came for too long")]
    Idle,
    /// The client's request is refused, at its head or further on.
    #[error("the request is refused: {0}")]
    Request(Refusal),
    /// The client went away.
    #[error("the client went away")]
    ClientGone,
    /// The answer was cut from outside.
    #[error("it was cut, because what it was routed by is no longer there")]
    Cutoff,
    /// The proxy was stopped before the answer was complete.
    #[error("cut at the end of a stop")]
    Stopped,
}

impl Failure {
    /// A word for it, of a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint(_) => "no-endpoint",
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Refused(_) => "answer-refused",
            Self::TimedOut => "timed-out",
            Self::NoTime => "no-time",
            Self::Idle => "idle",
            Self::Request(_) => "request-refused",
            Self::ClientGone => "client-gone",
            Self::Cutoff => "cut",
            Self::Stopped => "stopped",
        }
    }

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
    /// How often an endpoint was asked.
    pub attempts: u32,
    /// How long the last one took to the head of its answer, or until there was none. Unknown where none was connected to.
    pub waited: Option<Duration>,
    /// How long it took.
    pub elapsed: Duration,
    /// Bytes of body from the client.
    pub bytes_in: u64,
    /// Bytes of body to the client.
    pub bytes_out: u64,
    /// What went wrong.
    pub failure: Option<Failure>,
}
