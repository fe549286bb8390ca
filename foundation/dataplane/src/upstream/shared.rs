//! What all requests to one service share: how many there are, how they fare, and what may still be spent on them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{ServicePolicy, Unavailable, Want};
use crate::moment::Moment;
use crate::resilience::{Breaker, Budget, Latencies, Limiter, Priority, Trial};

/// Lives as long as the process; a change of the policy or of the set leaves it as it is.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    in_flight: AtomicU32,
    pending: AtomicU32,
    freed: Notify,
    pub(super) breaker: Breaker,
    pub(super) budget: Budget,
    pub(super) latencies: Latencies,
    pub(super) limiter: Limiter,
    pub(super) counters: Counters,
}

/// How often something happened since the start of the process.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) unavailable: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) retries_refused: AtomicU64,
    pub(super) hedges: AtomicU64,
    pub(super) ejections: AtomicU64,
    pub(super) circuit_opened: AtomicU64,
    pub(super) probes_failed: AtomicU64,
}

/// The same, to be read: counters of this process, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Attempts that were given an endpoint.
    pub requests: u64,
    /// Refused because no endpoint was known, or none healthy.
    pub unavailable: u64,
    /// Refused because too many were in flight.
    pub full: u64,
    /// Refused for their priority.
    pub shed: u64,
    /// Refused because the circuit was open.
    pub open: u64,
    /// Sent again.
    pub retries: u64,
    /// Not sent again because the budget was used up.
    pub retries_refused: u64,
    /// Sent a second time without waiting for a failure.
    pub hedges: u64,
    /// Endpoints that were left alone for a while.
    pub ejections: u64,
    /// Times that the circuit opened.
    pub circuit_opened: u64,
    /// Probes that were not answered as expected.
    pub probes_failed: u64,
}

/// The places of `max` that a request may take. What nobody waits for leaves half of them to the others.
fn places(max: NonZeroU32, priority: Priority) -> u32 {
    match priority {
        Priority::Background => max.get().div_ceil(2),
        _ => max.get(),
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Shared {
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Counts one more request in, unless there is a reason not to. [`Self::release`] counts it out.
    pub(super) fn admit(
        &self,
        want: &Want<'_>,
        now: Moment,
        policy: &ServicePolicy,
    ) -> Result<Option<Trial>, Unavailable> {
        // Sequentially consistent with the pending: either who waits sees the room, or who leaves sees the waiting.
        let before = self.in_flight.fetch_add(1, Ordering::SeqCst);
        let admitted = self.judge(before, want, now, policy);
        match admitted {
            Ok(_) if want.attempt <= 1 => self.budget.deposit(now, &policy.budget),
            Ok(_) => {}
            Err(_) => drop(self.in_flight.fetch_sub(1, Ordering::SeqCst)),
        }
        admitted
    }

    fn judge(
        &self,
        in_flight: u32,
        want: &Want<'_>,
        now: Moment,
        policy: &ServicePolicy,
    ) -> Result<Option<Trial>, Unavailable> {
        if policy.in_flight_max.is_some_and(|max| in_flight >= places(max, want.priority)) {
            return Err(Unavailable::Full);
        }
        if policy.limit.is_some_and(|limit| !self.limiter.admits(in_flight, want.priority, &limit)) {
            return Err(Unavailable::Shed);
        }
        match &policy.breaker {
            None => Ok(None),
            Some(breaker) => {
                self.breaker.admit(now, breaker).map_err(|retry_after| Unavailable::Open { retry_after })
            }
        }
    }

    /// Counts a request out, and wakes one that waits for that.
    pub(super) fn release(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.pending.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// A place among the requests that wait, if there is one.
    pub(super) fn queue(&self, pending_max: u32) -> Option<Pending<'_>> {
        let before = self.pending.fetch_add(1, Ordering::SeqCst);
        let place = Pending(self);
        (before < pending_max).then_some(place)
    }

    /// What the end of a request says of its service. True if it opened the circuit.
    pub(super) fn ended(
        &self,
        is_good: bool,
        trial: Option<Trial>,
        now: Moment,
        latency: Duration,
        policy: &ServicePolicy,
    ) -> bool {
        if let Some(limit) = &policy.limit {
            self.limiter.ended(now, latency, self.in_flight(), limit);
        }
        if is_good {
            self.latencies.record(now, latency);
        }
        match &policy.breaker {
            None => false,
            Some(breaker) if is_good => {
                self.breaker.succeeded(trial, now, breaker);
                false
            }
            Some(breaker) => self.breaker.failed(trial, now, breaker),
        }
    }

    pub(super) fn refused(&self, why: Unavailable) {
        count(match why {
            Unavailable::NoneKnown | Unavailable::NoneHealthy => &self.counters.unavailable,
            Unavailable::Full => &self.counters.full,
            Unavailable::Shed => &self.counters.shed,
            Unavailable::Open { .. } => &self.counters.open,
        });
    }

    pub(super) fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { requests, unavailable, full, shed, open, .. } = &self.counters;
        let Counters { retries, retries_refused, hedges, ejections, circuit_opened, probes_failed, .. } =
            &self.counters;
        Totals {
            requests: read(requests),
            unavailable: read(unavailable),
            full: read(full),
            shed: read(shed),
            open: read(open),
            retries: read(retries),
            retries_refused: read(retries_refused),
            hedges: read(hedges),
            ejections: read(ejections),
            circuit_opened: read(circuit_opened),
            probes_failed: read(probes_failed),
        }
    }
}

/// A place among those that wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Pending<'s>(&'s Shared);

impl Pending<'_> {
    /// Waits until a request ends, perhaps one that ended before.
    pub(super) async fn room(&self) {
        self.0.freed.notified().await;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}
