//! A request that has begun, and whose end the handler is owed.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fields::Head;
use super::worker::Worker;
use super::{Answered, Changes, Failure, Handler, Outcome, Reply};
use crate::framing::{self, Field, Refusal};
use crate::{BoxError, Error, Lease, Upstream};

/// An endpoint that was asked, as far as its lease would tell.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) address: Arc<str>,
    /// What it is called in its own addresses.
    pub(super) authority: Arc<str>,
    pub(super) waited: Option<Duration>,
}

/// Tells the handler how a request ended, once and in any case: when it is closed, and when it is dropped because the
/// client reset its stream, a stop cut it, or something panicked.
pub(super) struct Account<H: Handler, W: Deref<Target = Worker<H>>> {
    worker: W,
    ticket: Option<H::Ticket>,
    started: Instant,
    /// What the client has been sent; none while it has seen nothing.
    pub(super) status: Option<u16>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Counted elsewhere, where the body is read by somebody else.
    pub(super) taken: Option<Arc<AtomicU64>>,
    /// The endpoint that was asked last.
    pub(super) lease: Option<Lease>,
    /// The endpoint's service, if it is to hear how it went from here.
    pub(super) upstream: Option<Arc<Upstream>>,
    /// Endpoints that were asked, one after the other.
    pub(super) attempts: u32,
    /// The one that was asked last, where somebody stood around the exchange and the lease is with the body.
    pub(super) asked: Option<Asked>,
    fate: Option<Option<Failure>>,
}

impl<H: Handler, W: Deref<Target = Worker<H>>> Account<H, W> {
    pub(super) fn new(worker: W, ticket: H::Ticket, started: Instant) -> Self {
        Self {
            worker,
            ticket: Some(ticket),
            started,
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            taken: None,
            lease: None,
            upstream: None,
            attempts: 0,
            asked: None,
            fate: None,
        }
    }

    /// The worker's clock.
    pub(super) fn now(&self) -> u64 {
        self.worker.ticker.now()
    }

    /// What the endpoint is called in its own addresses, empty if none was asked.
    pub(super) fn authority(&self) -> &str {
        let leased = self.lease.as_ref().map(|lease| &lease.state.at.name);
        leased.or(self.asked.as_ref().map(|asked| &asked.authority)).map_or("", |name| name)
    }

    fn endpoint(&self) -> Option<&Arc<str>> {
        self.lease.as_ref().map(Lease::address).or(self.asked.as_ref().map(|asked| &asked.address))
    }

    /// Whether a trailer of the answer is passed on.
    pub(super) fn passes(&self, name: &str) -> bool {
        framing::may_trail(name) && !self.worker.handler.strips_from_response(name)
    }

    /// What the handler changes in an endpoint's answer.
    pub(super) fn amend(&mut self, status: u16, fields: &[Field<'_>]) -> Changes {
        self.ask(&Answered { status, failure: None, head: Head::Lines(fields) })
    }

    /// The same for an answer that is a value.
    pub(super) fn amend_map(&mut self, status: u16, map: &http::HeaderMap) -> Changes {
        self.ask(&Answered { status, failure: None, head: Head::Map(map) })
    }

    /// The problem document of a failure, and what the handler changes in it.
    pub(super) fn apology(&mut self, failure: Failure) -> Option<(Reply, Changes)> {
        let reply = failure.reply()?;
        let head = Head::Lines(&[]);
        let changes = self.ask(&Answered { status: reply.status, failure: Some(failure), head });
        Some((reply, changes))
    }

    fn ask(&mut self, answer: &Answered<'_>) -> Changes {
        if let (None, Some(upstream), Some(lease)) = (answer.failure, &self.upstream, &self.lease) {
            upstream.heard(lease);
        }
        let mut changes = Changes::default();
        if let Some(ticket) = &mut self.ticket {
            self.worker.handler.amend(ticket, answer, &mut changes);
        }
        changes
    }

    /// The request has been answered in full, or will be by what was decided.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
        self.fate = Some(None);
    }

    /// It failed; with `status` if the client is told one.
    pub(super) fn failed(&mut self, failure: Failure) {
        self.fate = Some(Some(failure));
    }

    /// Its ticket goes on under another account.
    pub(super) fn hand_over(mut self) {
        self.ticket = None;
    }
}

impl<H: Handler, W: Deref<Target = Worker<H>>> Drop for Account<H, W> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let failure = match self.fate {
            Some(fate) => fate,
            None if self.worker.is_cut() => Some(Failure::Stopped),
            None => Some(Failure::ClientGone),
        };
        let replied = || failure.and_then(Failure::reply).map_or(499, |reply| reply.status);
        let status = self.status.unwrap_or_else(replied);
        if let (Some(upstream), Some(lease)) = (&self.upstream, &self.lease) {
            report(upstream, lease, status, failure);
        }
        let waited = self.upstream.as_ref().zip(self.lease.as_ref());
        let waited = waited.map(|(upstream, lease)| upstream.waited(lease));
        let outcome = Outcome {
            worker: self.worker.index,
            status,
            address: self.endpoint(),
            attempts: self.attempts,
            waited: waited.or(self.asked.as_ref().and_then(|asked| asked.waited)),
            elapsed: self.started.elapsed(),
            bytes_in: self.taken.as_ref().map_or(self.bytes_in, |taken| taken.load(Ordering::Relaxed)),
            bytes_out: self.bytes_out,
            failure,
        };
        self.worker.handler.end(ticket, &outcome);
    }
}

/// Tells a service how the exchange on a lease went.
pub(super) fn report(upstream: &Upstream, lease: &Lease, status: u16, failure: Option<Failure>) {
    match (failure, status) {
        (Some(failure), _) if failure.is_of_endpoint() => upstream.failed(lease),
        (Some(_), _) => {}
        (None, 502..=504) => upstream.failed(lease),
        (None, _) => upstream.succeeded(lease),
    }
}

/// What an error of an answer's body says.
pub(super) fn failure_of(error: &BoxError) -> Failure {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return *failure;
    }
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return Failure::Refused(*refusal);
    }
    match error.downcast_ref::<Error>() {
        Some(Error::TimedOut { .. }) => Failure::TimedOut,
        Some(Error::Refused { source, .. }) => Failure::Refused(*source),
        _ => Failure::Broken,
    }
}

/// The refusal that ended a request's body, however deep it is wrapped.
pub(super) fn refusal_of(error: &BoxError) -> Option<Refusal> {
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(one) = error {
        if let Some(refusal) = one.downcast_ref::<Refusal>() {
            return Some(*refusal);
        }
        error = one.source();
    }
    None
}
