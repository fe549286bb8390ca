//! One stream of HTTP/2: a request, and its answer.
//!
//! What the request means and what becomes of it is decided as for HTTP/1.1, by the same code; its head is a value in
//! any case, and so is its answer's. However it ends, its [`Account`] is closed with it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Request, Response, header, uri};
use http_body::Body as _;
use hyper::body::Incoming as Received;
use tokio::time::timeout_at;

use super::account::Account;
use super::deadline::{deadline, too_late};
use super::fields::Edits;
use super::limited::Limited;
use super::order::{Given, Order};
use super::patience::{self, Patience};
use super::plan::{self, Origin, Plan, Planned, Settled};
use super::streamed::{Ends, Reported};
use super::worker::Worker;
use super::{Context, Decision, Failure, Forward, Handler, Reply, answer as head, grpc};
use crate::Body;
use crate::framing::{self, Field, HEADERS_MAX, Length, Refusal, Streamed};

type Owned<H> = Account<H, Arc<Worker<H>>>;

/// One request and its answer.
pub(super) async fn answer<H: Handler>(
    worker: &Arc<Worker<H>>,
    origin: &Origin,
    request: Request<Received>,
) -> Response<Reported<H>> {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    join_cookies(&mut parts.headers);
    let is_grpc = grpc::is(&parts.headers);
    let is_whole = body.is_end_stream();
    let (mut target, mut edits) = (String::new(), Edits::default());
    let mut decision: Option<Decision<H::Ticket>> = None;
    let plan = loop {
        let decided = decision.take();
        match decide(worker, origin, started, &parts, is_whole, &mut target, &mut edits, decided) {
            Ok(Planned::Now(plan)) => break plan,
            Ok(Planned::Later(future, ticket)) => {
                let account = Owned::new(worker.clone(), ticket, started);
                decision = Some(future.await);
                account.hand_over();
            }
            Err(refusal) => return own(Reply::from(refusal), is_grpc, None),
        }
    };
    let Plan { settled, facts } = plan;
    let is_head = facts.asked.is_head;
    let (order, value) = match settled {
        Settled::Value(order, value) => (order, value),
        // A stream has no bytes of HTTP/1.1 to send on, so nothing settles for them.
        Settled::Wire(Forward { ticket, .. }) => {
            let account = Owned::new(worker.clone(), ticket, started);
            return failed(account, Failure::Request(Refusal::Malformed), is_grpc, is_head);
        }
        Settled::Reply(reply, ticket) => {
            let mut account = Owned::new(worker.clone(), ticket, started);
            account.answered(reply.status);
            account.bytes_out = reply.body_length(is_head || is_grpc);
            return own(reply, is_grpc, is_head.then_some(()));
        }
    };
    let Order { by, body_max, total, cutoff, ticket } = order;
    let mut account = Owned::new(worker.clone(), ticket, started);
    if matches!(facts.length, Length::Exactly(bytes) if bytes > body_max) {
        return failed(account, Failure::Request(Refusal::BodyTooLarge), is_grpc, is_head);
    }
    let taken = Arc::new(AtomicU64::new(0));
    account.taken = Some(taken.clone());
    let rate = worker.options.body_rate.filter(|_| !is_grpc);
    let patience = Patience::new(rate, worker.options.stall_timeout);
    let body = match is_whole {
        true => Body::empty(),
        // One that states no body is sent on when nothing can come any more: its service would answer before the client
        // has contradicted itself.
        false if facts.length == Length::Exactly(0) => {
            match Body::new(Limited::new(body, 0, taken, patience)).collect(0).await {
                Ok(_) => Body::empty(),
                Err(_) => {
                    return failed(account, Failure::Request(Refusal::LengthMalformed), is_grpc, is_head);
                }
            }
        }
        false => Body::new(Limited::new(body, body_max, taken, patience)),
    };
    let deadline = deadline(started, total);
    let context =
        Context { worker: worker.index, peer: origin.peer, tls: origin.tls.clone(), started, deadline };
    let answering = by.answer(worker, value.map(|()| body), context);
    let given = match deadline {
        Some(deadline) => timeout_at(deadline.into(), answering)
            .await
            .unwrap_or_else(|_| Given::of(Err(too_late(facts.is_hurried)))),
        None => answering.await,
    };
    let (mut parts, body) = match given.settle(&mut account) {
        Ok(response) if response.status().is_informational() => {
            return failed(account, Failure::Refused(Refusal::Upgrade), is_grpc, is_head);
        }
        Ok(response) => response.into_parts(),
        Err(failure) => return failed(account, failure, is_grpc, is_head),
    };
    let is_stream = is_grpc || patience::streams(&parts.headers);
    head::amend(worker, &mut account, &mut parts);
    account.status = Some(parts.status.as_u16());
    // An answer that stated its length cannot end in another way before it.
    let is_grpc = is_grpc && !parts.headers.contains_key(header::CONTENT_LENGTH);
    let is_bodiless = is_head || matches!(parts.status.as_u16(), 204 | 304);
    let body = if is_bodiless { Body::empty() } else { body };
    Response::from_parts(
        parts,
        Reported::new(
            body,
            account,
            Ends { is_stream, deadline, late: too_late(facts.is_hurried), cutoff },
            is_grpc,
            worker,
        ),
    )
}

/// Reads the head by the rules that all heads are read by, and asks the handler or takes its decision.
#[expect(clippy::too_many_arguments, reason = "a head's parts, and where what is made of them goes")]
fn decide<H: Handler>(
    worker: &Worker<H>,
    origin: &Origin,
    started: Instant,
    parts: &http::request::Parts,
    is_whole: bool,
    target: &mut String,
    edits: &mut Edits,
    decision: Option<Decision<H::Ticket>>,
) -> Result<Planned<H::Ticket>, Refusal> {
    if parts.headers.len() > HEADERS_MAX {
        return Err(Refusal::TooManyHeaders);
    }
    let lines: Vec<Field<'_>> = parts
        .headers
        .iter()
        .map(|(name, value)| Field { name: name.as_str(), value: value.as_bytes() })
        .collect();
    let head = Streamed {
        method: parts.method.as_str(),
        authority: parts.uri.authority().map(uri::Authority::as_str),
        target: parts.uri.path_and_query().map_or("", |target| target.as_str()),
        is_whole,
    };
    let head = framing::stream_request(head, &lines)?;
    plan::stream(worker, origin, started, &head, target, edits, decision)
}

/// A client of HTTP/2 may send its cookies one by one; HTTP/1.1 knows only one line of them (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(header::COOKIE).iter();
    if all.nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// An answer of our own, of which nobody has to hear the end.
fn own<H: Handler>(reply: Reply, is_grpc: bool, without_body: Option<()>) -> Response<Reported<H>> {
    let response = if is_grpc { grpc::refused(&reply) } else { reply.into_response() };
    response.map(|body| Reported::alone(if without_body.is_some() { Body::empty() } else { body }))
}

/// The answer to a request that failed before its answer began.
fn failed<H: Handler>(
    mut account: Owned<H>,
    failure: Failure,
    is_grpc: bool,
    is_head: bool,
) -> Response<Reported<H>> {
    account.failed(failure);
    let Some((reply, changes)) = account.apology(failure) else {
        return own(Reply::empty(499), is_grpc, Some(()));
    };
    account.bytes_out = reply.body_length(is_head || is_grpc);
    let mut response = own(reply, is_grpc, is_head.then_some(()));
    head::change(&changes, response.headers_mut());
    response
}
