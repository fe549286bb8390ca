//! What one translator counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::problem::Cause;

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answered: AtomicU64,
    problems: [AtomicU64; Cause::ALL.len()],
    cached: AtomicU64,
    passed_on: AtomicU64,
    left_out: AtomicU64,
    fallbacks: AtomicU64,
    micros: AtomicU64,
}

/// The same, to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Operations that had a result.
    pub answered: u64,
    /// Operations that ended with a problem, in the order of [`Cause::ALL`].
    pub problems: [u64; Cause::ALL.len()],
    /// Results that were kept, or asked for by somebody else already.
    pub cached: u64,
    /// Times that the next provider was asked.
    pub passed_on: u64,
    /// Optional calls that had no answer.
    pub left_out: u64,
    /// Fields that failed, and for which something stood in.
    pub fallbacks: u64,
    /// How long all operations together took.
    pub took: Duration,
}

impl Tally {
    pub(crate) fn ended(&self, cause: Option<Cause>, took: Duration) {
        add(cause.map_or(&self.answered, |cause| &self.problems[cause as usize]), 1);
        add(&self.micros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn cached(&self) {
        add(&self.cached, 1);
    }

    pub(crate) fn passed_on(&self) {
        add(&self.passed_on, 1);
    }

    pub(crate) fn left_out(&self) {
        add(&self.left_out, 1);
    }

    pub(crate) fn fallbacks(&self, count: usize) {
        if count > 0 {
            add(&self.fallbacks, count as u64);
        }
    }

    pub(crate) fn read(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            answered: read(&self.answered),
            problems: std::array::from_fn(|cause| read(&self.problems[cause])),
            cached: read(&self.cached),
            passed_on: read(&self.passed_on),
            left_out: read(&self.left_out),
            fallbacks: read(&self.fallbacks),
            took: Duration::from_micros(read(&self.micros)),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
