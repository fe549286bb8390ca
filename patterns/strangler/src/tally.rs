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
    incomparable: AtomicU64,
    old: Answered,
    new: Answered,
}

#[derive(Debug)]
struct Answered {
    errors: AtomicU64,
    latency: Box<[AtomicU64; CLASS_COUNT]>,
}

impl Default for Answered {
    fn default() -> Self {
        Self { errors: AtomicU64::new(0), latency: Box::new(std::array::from_fn(|_| AtomicU64::new(0))) }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn answered(&self, side: Side, failed: bool, took: Duration) {
        let answered = match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        };
        // The latency first, so that there are never more errors than answers.
        count(&answered.latency[class_of(took)]);
        if failed {
            count(&answered.errors);
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

    pub(crate) fn reconciled(&self, equal: bool) {
        count(&self.reconciled);
        if !equal {
            count(&self.unreconciled);
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
            Answers { errors, latency }
        };
        let rate = |hits: &AtomicU64, trials: &AtomicU64| Rate::new(read(hits), read(trials));
        Counts {
            differing: rate(&self.differing, &self.compared),
            unreconciled: rate(&self.unreconciled, &self.reconciled),
            incomparable: read(&self.incomparable),
            old: answers(&self.old),
            new: answers(&self.new),
        }
    }
}
