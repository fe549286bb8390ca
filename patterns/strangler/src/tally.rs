//! Counts under way: written by every request without a lock, read once in a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Side;
use crate::gate::{Answers, CLASS_COUNT, Counts, Histogram, Rate, class_of};
use crate::noise::Counted;

/// Times, counted in classes.
#[derive(Debug)]
pub(crate) struct Latencies(Box<[AtomicU64; CLASS_COUNT]>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl Latencies {
    pub(crate) fn count(&self, took: Duration) {
        count(&self.0[class_of(took)]);
    }

    pub(crate) fn read(&self) -> Histogram {
        self.histogram(|counter| counter.load(Ordering::Relaxed))
    }

    /// Reads them, and begins anew.
    pub(crate) fn take(&self) -> Histogram {
        self.histogram(|counter| counter.swap(0, Ordering::Relaxed))
    }

    fn histogram(&self, read: impl Fn(&AtomicU64) -> u64) -> Histogram {
        let mut histogram = Histogram::default();
        self.0.iter().enumerate().for_each(|(class, counter)| histogram.count(class, read(counter)));
        histogram
    }
}

/// What a gateway has seen in one window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    compared: AtomicU64,
    differing: AtomicU64,
    reconciled: AtomicU64,
    unreconciled: AtomicU64,
    unread: AtomicU64,
    incomparable: AtomicU64,
    old: Answered,
    new: Answered,
}

#[derive(Debug, Default)]
struct Answered {
    asked: AtomicU64,
    errors: AtomicU64,
    latency: Latencies,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Notes whether a request of a side has failed.
    pub(crate) fn asked(&self, side: Side, failed: bool) {
        let answered = self.of(side);
        // In this order, so that there are never more errors than requests.
        count(&answered.asked);
        if failed {
            count(&answered.errors);
        }
    }

    /// Notes how long one took.
    pub(crate) fn took(&self, side: Side, took: Duration) {
        self.of(side).latency.count(took);
    }

    fn of(&self, side: Side) -> &Answered {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    pub(crate) fn compared(&self, counted: Counted) {
        match counted {
            Counted::Nothing => count(&self.incomparable),
            Counted::Same => count(&self.compared),
            Counted::Differs => {
                count(&self.compared);
                count(&self.differing);
            }
        }
    }

    pub(crate) fn reconciled(&self, equal: Option<bool>) {
        match equal {
            None => count(&self.unread),
            Some(true) => count(&self.reconciled),
            Some(false) => {
                count(&self.reconciled);
                count(&self.unreconciled);
            }
        }
    }

    /// How much of all this speaks against the new side.
    pub(crate) fn against_new(&self) -> u64 {
        let counters = [&self.new.errors, &self.differing, &self.unreconciled];
        counters.into_iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answers = |answered: &Answered| {
            let errors = read(&answered.errors);
            Answers { asked: read(&answered.asked), errors, latency: answered.latency.read() }
        };
        let rate = |hits: &AtomicU64, trials: &AtomicU64| Rate::new(read(hits), read(trials));
        Counts {
            differing: rate(&self.differing, &self.compared),
            unreconciled: rate(&self.unreconciled, &self.reconciled),
            unread: read(&self.unread),
            incomparable: read(&self.incomparable),
            old: answers(&self.old),
            new: answers(&self.new),
        }
    }
}
