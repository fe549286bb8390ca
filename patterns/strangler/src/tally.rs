//! Counts under way: written by every request without a lock, read once in a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Side;
use crate::gate::{Answers, CLASS_COUNT, Counts, Histogram, Rate, class_of};
use crate::noise::Counted;

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

#[derive(Debug)]
struct Answered {
    asked: AtomicU64,
    errors: AtomicU64,
    latency: Box<[AtomicU64; CLASS_COUNT]>,
}

impl Default for Answered {
    fn default() -> Self {
        let latency = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { asked: AtomicU64::new(0), errors: AtomicU64::new(0), latency }
    }
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
        count(&self.of(side).latency[class_of(took)]);
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

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answers = |answered: &Answered| {
            let errors = read(&answered.errors);
            let mut latency = Histogram::default();
            answered
                .latency
                .iter()
                .enumerate()
                .for_each(|(class, counter)| latency.count(class, read(counter)));
            Answers { asked: read(&answered.asked), errors, latency }
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
