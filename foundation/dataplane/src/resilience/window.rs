//! How many, and how many of them marked, over the last while: a ring of ten steps.
//!
//! ```text
//!   one step, one word:   │ which step: 24 bits │ in all: 20 bits │ marked: 20 bits │
//! ```
//!
//! A step that has passed is recognised by its number and begins anew when it is written to, so nothing sweeps.
//! What is read covers between nine tenths of the window and all of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::moment::{Moment, micros};

const STEPS: u64 = 10;
const STEP_MASK: u64 = (1 << 24) - 1;
const COUNT_MAX: u64 = (1 << 20) - 1;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) marked: u64,
}

impl Counts {
    /// Whether at least `percent` of at least `total_min` are marked.
    pub(crate) fn reach(self, percent: u32, total_min: u32) -> bool {
        self.total >= u64::from(total_min.max(1)) && self.marked * 100 >= self.total * u64::from(percent)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Window {
    steps: [AtomicU64; STEPS as usize],
}

impl Window {
    /// Adds to the present step. A step that would overflow is halved: the ratio stays.
    pub(crate) fn add(&self, now: Moment, length: Duration, total: u32, marked: u32) {
        let step = number(now, length);
        self.change(step, |counts| {
            counts.total += u64::from(total);
            counts.marked += u64::from(marked);
            while counts.total > COUNT_MAX || counts.marked > COUNT_MAX {
                counts.total /= 2;
                counts.marked /= 2;
            }
        });
    }

    /// Marks one more if the sum then satisfies `within`. Many that ask at once never get more than it allows.
    pub(crate) fn mark_if(&self, now: Moment, length: Duration, within: impl Fn(Counts) -> bool) -> bool {
        let step = number(now, length);
        self.change(step, |counts| counts.marked = (counts.marked + 1).min(COUNT_MAX));
        let is_within = within(self.counts(now, length));
        if !is_within {
            self.change(step, |counts| counts.marked = counts.marked.saturating_sub(1));
        }
        is_within
    }

    /// The sum over the window.
    pub(crate) fn counts(&self, now: Moment, length: Duration) -> Counts {
        let last = number(now, length);
        let first = last.saturating_sub(STEPS - 1);
        (first..=last).fold(Counts::default(), |sum, step| {
            let here = read(self.cell(step).load(Ordering::Relaxed), step);
            Counts { total: sum.total + here.total, marked: sum.marked + here.marked }
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for step in &self.steps {
            step.store(0, Ordering::Relaxed);
        }
    }

    fn cell(&self, step: u64) -> &AtomicU64 {
        &self.steps[(step % STEPS) as usize]
    }

    fn change(&self, step: u64, change: impl Fn(&mut Counts)) {
        let changed = |word: u64| {
            // A thread that slept for a whole window must not take the place of a newer step.
            let ahead = (word >> 40).wrapping_sub(step) & STEP_MASK;
            if word != 0 && (1..STEP_MASK / 2).contains(&ahead) {
                return None;
            }
            let mut counts = read(word, step);
            change(&mut counts);
            Some((step & STEP_MASK) << 40 | counts.total << 20 | counts.marked)
        };
        let _ = self.cell(step).fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }
}

/// Steps since the start, from 1: an empty word is of no step.
fn number(now: Moment, length: Duration) -> u64 {
    now.0 / (micros(length) / STEPS).max(1) + 1
}

/// What a word says of a step: nothing, if it is of another one.
fn read(word: u64, step: u64) -> Counts {
    if word >> 40 != step & STEP_MASK {
        return Counts::default();
    }
    Counts { total: word >> 20 & COUNT_MAX, marked: word & COUNT_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let window = Window::default();
        let start = Moment(1);
        window.add(start, LENGTH, 8, 3);
        assert_eq!(window.counts(start.after(LENGTH * 9 / 10), LENGTH), Counts { total: 8, marked: 3 });
        assert_eq!(window.counts(start.after(LENGTH), LENGTH), Counts::default());
        window.add(start.after(LENGTH), LENGTH, 1, 0);
        assert_eq!(window.counts(start.after(LENGTH), LENGTH), Counts { total: 1, marked: 0 });
    }

    #[test]
    fn a_full_step_keeps_its_ratio() {
        let window = Window::default();
        for _ in 0..5 {
            window.add(Moment(1), LENGTH, 400_000, 100_000);
        }
        let Counts { total, marked } = window.counts(Moment(1), LENGTH);
        assert!(total <= COUNT_MAX && total > COUNT_MAX / 4, "{total}");
        assert_eq!((marked * 1000).div_ceil(total), 250);
    }

    proptest! {
        /// The same as a list of everything that was counted, from which the old is cut off step by step.
        #[test]
        fn counts_like_a_list(waits in prop::collection::vec((0u64..4_000_000, any::<bool>()), 1..200)) {
            let window = Window::default();
            let mut now = Moment(1);
            let mut all: Vec<(u64, bool)> = Vec::new();
            for (wait, marked) in waits {
                now = now.after(Duration::from_micros(wait));
                window.add(now, LENGTH, 1, u32::from(marked));
                all.push((number(now, LENGTH), marked));
                let last = number(now, LENGTH);
                let live = all.iter().filter(|(step, _)| step + STEPS > last);
                let total = live.clone().count() as u64;
                let marked = live.filter(|(_, marked)| *marked).count() as u64;
                prop_assert_eq!(window.counts(now, LENGTH), Counts { total, marked });
            }
        }
    }
}
