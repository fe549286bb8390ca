//! How long a service's answers take: quantiles over the last seconds, in three kilobytes.
//!
//! A histogram with eight buckets for each doubling, so a quantile is told at most an eighth too high and never too low
//! (the layout of Gil Tene's *HdrHistogram*). Two halves take turns of five seconds: one is written, both are read, and
//! the older is emptied by whoever first writes in a new turn. An answer that is counted at the very moment of that may be
//! lost.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::moment::{Moment, micros};

/// Up to 134 seconds; what takes longer counts as that.
const BUCKETS: usize = 200;
const MICROS_MAX: u64 = (1 << 27) - 1;
const TURN_MICROS: u64 = 5_000_000;
/// How long a quantile that was worked out is used.
const KNOWN_MICROS: u64 = 100_000;
/// Fewer answers say nothing about a quantile.
const ANSWERS_MIN: u64 = 20;

type Half = [AtomicU32; BUCKETS];

#[derive(Debug)]
pub(crate) struct Latencies {
    halves: [Half; 2],
    turn: AtomicU64,
    /// The quantile that was asked for last: 32 bits of microseconds, 7 of its percentage, 25 of when.
    known: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        let half = || std::array::from_fn(|_| AtomicU32::new(0));
        Self { halves: [half(), half()], turn: AtomicU64::new(0), known: AtomicU64::new(0) }
    }
}

impl Latencies {
    /// An answer took `latency`.
    pub(crate) fn record(&self, now: Moment, latency: Duration) {
        let turn = self.take_turn(now);
        self.halves[(turn % 2) as usize][bucket(micros(latency))].fetch_add(1, Ordering::Relaxed);
    }

    /// The time within which `percent` of the answers came; `None` while there are too few to tell.
    pub(crate) fn quantile(&self, now: Moment, percent: u8) -> Option<Duration> {
        self.take_turn(now);
        let counts = |at: usize| -> u64 {
            self.halves.iter().map(|half| u64::from(half[at].load(Ordering::Relaxed))).sum()
        };
        let total: u64 = (0..BUCKETS).map(counts).sum();
        if total < ANSWERS_MIN {
            return None;
        }
        let rank = (total * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let within = |at: &usize| {
            seen += counts(*at);
            seen >= rank
        };
        let at = (0..BUCKETS).find(within).unwrap_or(BUCKETS - 1);
        Some(Duration::from_micros(upper(at)))
    }

    /// The same, worked out at most ten times a second: for the way of a request.
    pub(crate) fn quantile_lately(&self, now: Moment, percent: u8) -> Option<Duration> {
        // From 1, so that the zero of the start is of no time.
        let asked = (u64::from(percent.min(100)) << 25) | (now.0 / KNOWN_MICROS + 1) & ((1 << 25) - 1);
        let known = self.known.load(Ordering::Relaxed);
        let micros = if known >> 32 == asked {
            known & u64::from(u32::MAX)
        } else {
            let fresh = self.quantile(now, percent).map_or(0, micros);
            self.known.store(asked << 32 | fresh, Ordering::Relaxed);
            fresh
        };
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    fn take_turn(&self, now: Moment) -> u64 {
        let turn = now.0 / TURN_MICROS;
        let before = self.turn.load(Ordering::Relaxed);
        let is_mine = before < turn
            && self.turn.compare_exchange(before, turn, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_mine {
            let stale =
                if turn - before > 1 { &self.halves[..] } else { &self.halves[(turn % 2) as usize..][..1] };
            for count in stale.iter().flatten() {
                count.store(0, Ordering::Relaxed);
            }
        }
        turn
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.min(MICROS_MAX);
    if micros < 8 {
        return micros as usize;
    }
    let doubling = micros.ilog2();
    let eighth = micros >> (doubling - 3) & 7;
    (doubling as usize - 2) * 8 + eighth as usize
}

/// The most that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < 8 {
        return bucket as u64;
    }
    let doubling = bucket / 8 + 2;
    let eighth = (bucket % 8) as u64;
    ((9 + eighth) << (doubling - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_answers_are_forgotten_and_few_say_nothing() {
        let latencies = Latencies::default();
        let start = Moment(1);
        for _ in 0..19 {
            latencies.record(start, Duration::from_millis(5));
        }
        assert_eq!(latencies.quantile(start, 95), None);
        latencies.record(start, Duration::from_millis(5));
        assert!(latencies.quantile(start, 95).is_some());
        let next_turn = start.after(Duration::from_secs(6));
        assert!(latencies.quantile(next_turn, 95).is_some());
        assert_eq!(latencies.quantile(start.after(Duration::from_secs(11)), 95), None);
    }

    #[test]
    fn a_quantile_is_used_for_a_while_and_then_worked_out_again() {
        let latencies = Latencies::default();
        let start = Moment(1);
        assert_eq!(latencies.quantile_lately(start, 50), None);
        for _ in 0..100 {
            latencies.record(start, Duration::from_millis(1));
        }
        assert_eq!(latencies.quantile_lately(start, 50), None, "as it was worked out");
        assert!(latencies.quantile_lately(start, 90).is_some(), "another is another");
        assert!(latencies.quantile_lately(start.after(Duration::from_millis(100)), 50).is_some());
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_within_an_eighth(micros in 0..=MICROS_MAX) {
            let upper = upper(bucket(micros));
            prop_assert!(bucket(micros) < BUCKETS);
            prop_assert!(upper >= micros && upper - micros <= micros / 8, "{micros} {upper}");
        }

        #[test]
        fn a_quantile_is_never_too_low_nor_an_eighth_too_high(
            mut values in prop::collection::vec(1u64..10_000_000, 20..300), percent in 1u8..=100,
        ) {
            let latencies = Latencies::default();
            for value in &values {
                latencies.record(Moment(1), Duration::from_micros(*value));
            }
            values.sort_unstable();
            let exact = values[(values.len() * usize::from(percent)).div_ceil(100) - 1];
            let told = micros(latencies.quantile(Moment(1), percent).unwrap());
            prop_assert!(told >= exact && told <= exact + exact / 8, "{} for {}", told, exact);
        }
    }
}
