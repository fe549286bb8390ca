//! From one head to the next: the parts of an exchange that need no socket.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use http::{Request, Version};

use super::deadline::heard;
use super::fields::Edits;
use super::order::Order;
use super::worker::{Scratch, Worker};
use super::written::{valued, write};
use super::{Decision, Forward, Handler, Incoming, Outgoing, Reply, Verdict};
use crate::framing::{self, Length, Refusal, RequestHead, Slashes, names_equal};
use crate::resilience::deadline;
use crate::{Protocol, TlsSession};

/// Where the requests of a connection come from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) peer: std::net::SocketAddr,
    pub(super) tls: Option<Arc<TlsSession>>,
    pub(super) is_http2: bool,
}

/// A request that was read and asked about.
pub(super) enum Planned<T> {
    Now(Plan<T>),
    Later(BoxFuture<'static, Decision<T>>, T),
}

/// A request that was decided upon.
pub(super) struct Plan<T> {
    pub(super) settled: Settled<T>,
    pub(super) facts: Facts,
}

/// A verdict that needs nothing more, and the request in the form that it needs.
pub(super) enum Settled<T> {
    Reply(Reply, T),
    /// The request is written down as HTTP/1.1.
    Wire(Forward<T>),
    /// The request's head is a value.
    Value(Order<T>, Box<Request<()>>),
}

/// What else an exchange has to know of its request.
pub(super) struct Facts {
    pub(super) asked: Asked,
    pub(super) length: Length,
    pub(super) expects_continue: bool,
    /// Whether sending it twice does no more than sending it once (RFC 9110 §9.2.2).
    pub(super) is_idempotent: bool,
    /// The trailers that are passed on with its body.
    pub(super) announced: String,
    /// Whether the client gives less time than it would have.
    pub(super) is_hurried: bool,
    /// Where the last field of what was written ends.
    pub(super) fields_end: usize,
}

/// What of the request matters for its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) is_v11: bool,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
    pub(super) takes_trailers: bool,
    pub(super) websocket: bool,
}

/// Reads the head in the first `end` bytes of the client's buffer, asks the handler, and writes the request for the
/// endpoint. What is left in the buffer is the body, and what follows it; a decision that comes later finds the head
/// still there, for [`resume`].
pub(super) fn request<H: Handler>(
    worker: &Worker<H>,
    origin: &Origin,
    started: Instant,
    scratch: &mut Scratch,
    end: usize,
) -> Result<Planned<H::Ticket>, Refusal> {
    let Scratch { client, request, target, edits, .. } = scratch;
    edits.clear();
    let mut slots = framing::slots();
    let (head, behind) = client.filled().split_at(end);
    let head = framing::request(head, &mut slots)?;
    let planned = incoming(worker, origin, started, (&head, behind), target, |incoming, target| {
        let verdict = worker.handler.begin(incoming, &mut Outgoing { target, edits });
        settle(worker, incoming, verdict, target, edits, Some(request))
    })?;
    if matches!(planned, Planned::Now(_)) {
        client.consume(end);
    }
    Ok(planned)
}

/// The same, once the decision is there.
pub(super) fn resume<H: Handler>(
    worker: &Worker<H>,
    origin: &Origin,
    started: Instant,
    scratch: &mut Scratch,
    end: usize,
    decision: Decision<H::Ticket>,
) -> Result<Planned<H::Ticket>, Refusal> {
    let Scratch { client, request, target, edits, .. } = scratch;
    let mut slots = framing::slots();
    let (head, behind) = client.filled().split_at(end);
    let head = framing::request(head, &mut slots)?;
    let planned = incoming(worker, origin, started, (&head, behind), &mut String::new(), |incoming, _| {
        let verdict = decide(decision, target, edits);
        settle(worker, incoming, verdict, target, edits, Some(request))
    })?;
    if matches!(planned, Planned::Now(_)) {
        client.consume(end);
    }
    Ok(planned)
}

/// The same for a head that came as a stream of HTTP/2. It becomes a value in any case.
pub(super) fn stream<H: Handler>(
    worker: &Worker<H>,
    origin: &Origin,
    started: Instant,
    head: &RequestHead<'_, '_>,
    target: &mut String,
    edits: &mut Edits,
    decision: Option<Decision<H::Ticket>>,
) -> Result<Planned<H::Ticket>, Refusal> {
    match decision {
        None => incoming(worker, origin, started, (head, &[]), target, |incoming, target| {
            let verdict = worker.handler.begin(incoming, &mut Outgoing { target, edits });
            settle(worker, incoming, verdict, target, edits, None)
        }),
        Some(decision) => {
            incoming(worker, origin, started, (head, &[]), &mut String::new(), |incoming, _| {
                let verdict = decide(decision, target, edits);
                settle(worker, incoming, verdict, target, edits, None)
            })
        }
    }
}

/// Takes over what a decision changes in the request.
fn decide<T>(decision: Decision<T>, target: &mut String, edits: &mut Edits) -> Verdict<T> {
    if let Some(changed) = decision.target {
        *target = changed;
    }
    edits.extend(&decision.fields, &decision.dropped);
    if let Some(host) = decision.host {
        Outgoing { target, edits }.set_host(host);
    }
    decision.verdict
}

/// Makes a head canonical and shows it to `then`, together with the target that will be sent on. What has come `behind` the
/// head says whether all of the request is there.
fn incoming<H: Handler, R>(
    worker: &Worker<H>,
    origin: &Origin,
    started: Instant,
    (head, behind): (&RequestHead<'_, '_>, &[u8]),
    target: &mut String,
    then: impl FnOnce(&Incoming<'_>, &mut String) -> R,
) -> Result<R, Refusal> {
    target.clear();
    framing::canonical_path(head.path, Slashes::Merge, target)?;
    let path_end = target.len();
    if let Some(query) = head.query {
        target.push('?');
        framing::canonical_query(query, target)?;
    }
    // The handler reads path and query, and may write another target: so it reads a copy, on the stack if it fits.
    let mut small = [0u8; 256];
    let large;
    let copy: &str = match small.get_mut(..target.len()) {
        Some(room) => {
            room.copy_from_slice(target.as_bytes());
            std::str::from_utf8(room).map_err(|_| Refusal::Path)?
        }
        None => {
            large = target.clone();
            &large
        }
    };
    let query = head.query.map(|_| &copy[path_end + 1..]);
    let Origin { peer, tls, is_http2 } = origin;
    let (worker, tls) = (worker.index, tls.as_ref());
    let version = match (is_http2, head.is_v11) {
        (true, _) => Version::HTTP_2,
        (false, true) => Version::HTTP_11,
        (false, false) => Version::HTTP_10,
    };
    let path = &copy[..path_end];
    let is_whole = matches!(head.length, Length::Exactly(bytes) if bytes <= behind.len() as u64);
    let incoming = Incoming { worker, peer: *peer, tls, version, head, path, query, started, is_whole };
    Ok(then(&incoming, target))
}

/// Writes the request in the form that the verdict needs: as bytes into `wire`, or as a value.
fn settle<H: Handler>(
    worker: &Worker<H>,
    incoming: &Incoming<'_>,
    verdict: Verdict<H::Ticket>,
    target: &str,
    edits: &Edits,
    wire: Option<&mut Vec<u8>>,
) -> Planned<H::Ticket> {
    let head = incoming.head;
    let mut verdict = verdict;
    let (mut tells, mut is_hurried) = (false, false);
    if let Verdict::Forward(forward) = &mut verdict {
        let allowed = forward.total;
        forward.total = deadline::shorter(allowed, heard(worker, incoming, &forward.ticket));
        (tells, is_hurried) = (forward.total.is_some(), forward.total != allowed);
    }
    let mut fields_end = 0;
    let strips = |ticket: &H::Ticket, name: &str| {
        (name.len() == 4 && name.eq_ignore_ascii_case("host"))
            || (name.len() == 6 && name.eq_ignore_ascii_case("expect"))
            // Written anew for each attempt.
            || (tells && names_equal(name, deadline::HEADER))
            || worker.handler.strips_from_request(ticket, name)
            || edits.drops(name)
    };
    let announced = match head.announces && head.length == Length::Chunked {
        true => framing::announced(head.fields, |name| strips(verdict.ticket(), name)),
        false => String::new(),
    };
    let settled = match verdict {
        Verdict::Later(decision, ticket) => return Planned::Later(decision, ticket),
        Verdict::Reply(reply, ticket) => Settled::Reply(reply, ticket),
        Verdict::Forward(forward) => {
            let strip = |name: &str| strips(&forward.ticket, name);
            let is_http2 = forward.transport.as_ref().is_some_and(|by| by.protocol == Protocol::Http2);
            let is_value = is_http2 || forward.upstream.repeats() || forward.around.is_some();
            match wire {
                _ if head.websocket && (is_http2 || forward.websocket.is_none()) => {
                    Settled::Reply(Reply::from(Refusal::Upgrade), forward.ticket)
                }
                // A conversation cannot be held again, and nobody stands around it.
                Some(wire) if head.websocket || !is_value => {
                    let given = if head.host.is_empty() { &**forward.upstream.service() } else { head.host };
                    let host = edits.host.as_deref().unwrap_or(given);
                    fields_end = write(head, host, target, &edits.added, &announced, strip, wire);
                    Settled::Wire(forward)
                }
                _ => match valued(head, &announced, target, edits, strip) {
                    Ok(request) => Settled::Value(Order::from(forward).hurried(is_hurried), request),
                    Err(refusal) => Settled::Reply(Reply::from(refusal), forward.ticket),
                },
            }
        }
        Verdict::Serve(serving) if head.websocket => {
            Settled::Reply(Reply::from(Refusal::Upgrade), serving.ticket)
        }
        Verdict::Serve(serving) => {
            let strip = |name: &str| strips(&serving.ticket, name);
            match valued(head, &announced, target, edits, strip) {
                Ok(request) => Settled::Value(Order::from(serving), request),
                Err(refusal) => Settled::Reply(Reply::from(refusal), serving.ticket),
            }
        }
    };
    let asked = Asked {
        is_v11: head.is_v11,
        is_head: head.method == "HEAD",
        keep_alive: head.keep_alive,
        takes_trailers: head.takes_trailers,
        websocket: head.websocket,
    };
    let facts = Facts {
        asked,
        length: head.length,
        expects_continue: head.expects_continue,
        is_idempotent: matches!(head.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"),
        announced,
        is_hurried,
        fields_end,
    };
    Planned::Now(Plan { settled, facts })
}
