//! What each route has done, counted as it happens.
//!
//! Counters belong to a route's name: they go on when its route changes, and are gone when it is. A request adds to a
//! handful of atomics and to nothing that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::auth::Reason;
use crate::cache::Cached;

/// Upper bounds of the durations that are told apart, in microseconds; the last class is all that is longer.
pub const DURATIONS_US: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000];

/// What requests that no route took are counted under.
pub const UNROUTED: &str = "_none";

/// Counters of one route.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    begun: AtomicU64,
    /// By the hundreds of the status, from 1xx on.
    statuses: [AtomicU64; 5],
    durations: [AtomicU64; DURATIONS_US.len() + 1],
    micros: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// By [`Reason`], in the order of [`Reason::ALL`].
    refused: [AtomicU64; Reason::ALL.len()],
}

/// What a route has done since it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The route, or [`UNROUTED`].
    pub route: Arc<str>,
    /// Answers by the hundreds of their status, from 1xx to 5xx.
    pub statuses: [u64; 5],
    /// Answers by their duration: one class for each of [`DURATIONS_US`], and one for what is longer.
    pub durations: [u64; DURATIONS_US.len() + 1],
    /// How long all of them took together.
    pub duration: Duration,
    /// Requests that have begun and not ended.
    pub in_flight: u64,
    /// Bytes of bodies from clients.
    pub bytes_in: u64,
    /// Bytes of bodies to clients.
    pub bytes_out: u64,
    /// Requests that did not pass, by the reason: in the order of [`Reason::ALL`].
    pub refused: [u64; Reason::ALL.len()],
    /// Answers by the way in which the cache came into them: in the order of [`Cached::ALL`].
    pub cached: [u64; Cached::ALL.len()],
    /// Bytes of answers that are kept.
    pub kept_bytes: u64,
}

impl Measure {
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a beginning back: another route takes the request after all.
    pub(crate) fn hand_over(&self) {
        self.begun.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, reason: Reason) {
        if let Some(counter) = self.refused.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn end(&self, outcome: &dozen_dataplane::Outcome<'_>) {
        let micros = u64::try_from(outcome.elapsed.as_micros()).unwrap_or(u64::MAX);
        let class = DURATIONS_US.iter().position(|bound| micros <= *bound).unwrap_or(DURATIONS_US.len());
        let hundreds = usize::from(outcome.status / 100).clamp(1, 5) - 1;
        for (counter, by) in [
            (&self.statuses[hundreds], 1),
            (&self.durations[class], 1),
            (&self.micros, micros),
            (&self.bytes_in, outcome.bytes_in),
            (&self.bytes_out, outcome.bytes_out),
        ] {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// The counters as they stand; those of requests that end just now may be between two of them.
    pub(crate) fn read(&self, route: &Arc<str>) -> Measured {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let statuses = std::array::from_fn(|at| read(&self.statuses[at]));
        Measured {
            route: route.clone(),
            statuses,
            durations: std::array::from_fn(|at| read(&self.durations[at])),
            duration: Duration::from_micros(read(&self.micros)),
            in_flight: read(&self.begun).saturating_sub(statuses.iter().sum()),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            refused: std::array::from_fn(|at| read(&self.refused[at])),
            cached: Default::default(),
            kept_bytes: 0,
        }
    }
}

impl Measured {
    /// All requests that ended.
    pub fn ended(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Adds what another route has done.
    pub fn absorb(&mut self, other: &Self) {
        let sums = self.statuses.iter_mut().zip(&other.statuses);
        let sums = sums.chain(self.durations.iter_mut().zip(&other.durations));
        let sums = sums.chain(self.refused.iter_mut().zip(&other.refused));
        for (mine, theirs) in sums.chain(self.cached.iter_mut().zip(&other.cached)) {
            *mine += theirs;
        }
        self.duration += other.duration;
        self.kept_bytes += other.kept_bytes;
        self.in_flight += other.in_flight;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_in_each_place() {
        let measure = Measure::default();
        for (status, millis) in [(200, 0), (204, 3), (404, 3), (499, 40_000)] {
            measure.begin();
            measure.end(&dozen_dataplane::Outcome {
                worker: 0,
                status,
                address: None,
                attempts: 0,
                waited: None,
                elapsed: Duration::from_millis(millis),
                bytes_in: 1,
                bytes_out: 10,
                failure: None,
            });
        }
        measure.begin();
        measure.refuse(Reason::StoreAway);
        let mut read = measure.read(&"r".into());
        assert_eq!((read.statuses, read.in_flight, read.ended()), ([0, 2, 0, 2, 0], 1, 4));
        assert_eq!((read.durations[0], read.durations[3], read.durations[12]), (1, 2, 1));
        assert_eq!((read.bytes_in, read.bytes_out, read.duration.as_millis()), (4, 40, 40_006));
        read.absorb(&measure.read(&"s".into()));
        assert_eq!((read.refused[21], read.refused.iter().sum::<u64>()), (2, 2));
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert_eq!((read.ended(), read.in_flight, read.durations[3]), (8, 2, 4));
    }
}
