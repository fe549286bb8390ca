//! The generic cell rate algorithm (ATM Forum, Traffic Management 4.0, §4.4.2), as virtual scheduling.
//!
//! All that is kept is one moment, the *theoretical arrival time*: when the next request would be due if all came evenly.
//! A request that comes earlier than that by no more than a tolerance passes, and moves it on by one interval.
//!
//! ```text
//!      now        tat                      a request passes while  tat - now <= tolerance
//! ──────┼──────────┼─────────────►
//!       ◄─ ahead ──►                       tolerance = (burst - 1) × interval
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Rate;

/// A rate and a burst, as the algorithm needs them. Moments are nanoseconds on any clock that does not run backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    interval: u64,
    tolerance: u64,
    burst: u32,
}

/// What a limit says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it passes.
    pub passes: bool,
    /// How many more could pass at this moment.
    pub remaining: u32,
    /// How long until all of the burst is there again.
    pub reset: Duration,
    /// How long until one passes again; zero while one does.
    pub retry_after: Duration,
}

impl Gcra {
    /// `burst` requests at once, at least one; then as they are due by `rate`.
    pub fn new(rate: Rate, burst: u32) -> Self {
        let (interval, burst) = (rate.interval_nanos(), burst.max(1));
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst - 1)), burst }
    }

    /// The decision at `now`, and the moment to keep in the place of `tat`.
    pub fn decide(&self, tat: u64, now: u64) -> (Decision, u64) {
        let due = tat.max(now);
        let ahead = due - now;
        if ahead > self.tolerance {
            let reset = Duration::from_nanos(ahead);
            let retry_after = Duration::from_nanos(ahead - self.tolerance);
            return (Decision { passes: false, remaining: 0, reset, retry_after }, tat);
        }
        let next = due.saturating_add(self.interval);
        let remaining = self.count(self.tolerance - ahead);
        let reset = Duration::from_nanos(next - now);
        (Decision { passes: true, remaining, reset, retry_after: Duration::ZERO }, next)
    }

    /// How many could pass at `now`.
    pub fn room(&self, tat: u64, now: u64) -> u32 {
        let ahead = tat.saturating_sub(now);
        if ahead > self.tolerance { 0 } else { self.count(self.tolerance - ahead).saturating_add(1) }
    }

    /// How many requests a stretch of time stands for, rounded down.
    fn count(&self, nanos: u64) -> u32 {
        u32::try_from(nanos / self.interval).unwrap_or(u32::MAX)
    }

    /// The time for one request, in nanoseconds.
    pub(crate) fn interval(&self) -> u64 {
        self.interval
    }

    /// How many may come at once.
    pub(crate) fn burst(&self) -> u32 {
        self.burst
    }
}

/// The state of one limit, for any number of threads.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Decides about a request at `now`, and counts it if it passes.
    pub fn take(&self, gcra: &Gcra, now: u64) -> Decision {
        let mut tat = self.0.load(Ordering::Relaxed);
        loop {
            let (decision, next) = gcra.decide(tat, now);
            if !decision.passes {
                return decision;
            }
            match self.0.compare_exchange_weak(tat, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return decision,
                Err(other) => tat = other,
            }
        }
    }
}
