//! As many requests at a time as a service works on well, found by watching how long they take.
//!
//! ```text
//!   latency ▲            ╱ beyond its capacity requests only wait
//!           │ __________╱
//!           └───────────┴──────► in flight        the limit follows the knee, from both sides
//! ```
//!
//! Once in each window the limit is multiplied with the ratio of what an answer takes when nothing waits (times a
//! tolerance) and what it took now, never less than a half and never more than one, plus a little headroom to find out
//! whether there is more: the gradient of Netflix' *concurrency-limits* (2018). The limit does not grow while it is not
//! used.
//!
//! What an answer takes when nothing waits is measured anew every half a minute, because a service may have become slower
//! for good: while the limit is in use, by letting only a quarter of it through for one window, as BBR's *ProbeRTT* does
//! (Cardwell and others, 2016). Without that, a service that is always overloaded would pass for a slow one, and the limit
//! creep away. The critical requests are spared it.
//! Under pressure each [`Priority`] gets its part of the limit and no more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Priority;
use crate::moment::{Moment, micros};

/// Within which bounds the limit of requests in flight is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitPolicy {
    /// The limit at the start.
    pub first: u32,
    /// Never less.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// By how many percent an answer may take longer than the fastest before the limit shrinks.
    pub tolerance_percent: u32,
    /// How long latencies are gathered for each step.
    #[serde(with = "dozen_core::duration")]
    pub window: Duration,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self { first: 50, min: 5, max: 1000, tolerance_percent: 50, window: Duration::from_secs(1) }
    }
}

/// Answers that are needed for a step; until there are so many, the window goes on.
const ANSWERS_MIN: u64 = 10;
/// Windows after which the least latency is measured anew.
const MEASURE_AFTER: u32 = 30;
/// How much of a step is taken.
const SMOOTHING: f64 = 0.3;

/// What was seen in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// What an answer took on average.
    micros: f64,
    /// Whether the limit was nearly used, or stood in the way.
    is_used: bool,
}

/// Where the limit stands.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Gradient {
    limit: f64,
    /// What an answer takes when nothing waits.
    least_micros: f64,
    /// Since that was measured anew. At its end, one window is for measuring.
    windows: u32,
}

impl Gradient {
    fn next(self, seen: Seen, policy: &LimitPolicy) -> Self {
        let seen_micros = seen.micros.max(1.0);
        let measured = Self { least_micros: seen_micros, windows: 0, ..self };
        if self.windows >= MEASURE_AFTER {
            return measured;
        }
        let windows = self.windows + 1;
        if windows >= MEASURE_AFTER && !seen.is_used {
            // Nothing waits, so this is the measure.
            return measured;
        }
        let least_micros = self.least_micros.min(seen_micros);
        let tolerated = least_micros * f64::from(100 + policy.tolerance_percent) / 100.0;
        let gradient = (tolerated / seen_micros).clamp(0.5, 1.0);
        let target = self.limit * gradient + self.limit.sqrt();
        let target = if seen.is_used { target } else { target.min(self.limit) };
        let limit = self.limit + (target - self.limit) * SMOOTHING;
        let (min, max) = (f64::from(policy.min.max(1)), f64::from(policy.max.max(policy.min).max(1)));
        Self { limit: limit.clamp(min, max), least_micros, windows }
    }
}

/// The limit of one service.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// The limit, as `f64`; zero while it is the first.
    limit: AtomicU64,
    least_micros: AtomicU64,
    windows: AtomicU32,
    sum_micros: AtomicU64,
    answers: AtomicU64,
    peak: AtomicU32,
    has_refused: AtomicBool,
    window_ends: AtomicU64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            limit: AtomicU64::new(0),
            least_micros: AtomicU64::new(f64::INFINITY.to_bits()),
            // The first window is as any, the second measures: nothing is known that could be trusted.
            windows: AtomicU32::new(MEASURE_AFTER - 1),
            sum_micros: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            peak: AtomicU32::new(0),
            has_refused: AtomicBool::new(false),
            window_ends: AtomicU64::new(0),
        }
    }
}

impl Limiter {
    /// The requests that may be in flight.
    pub(crate) fn limit(&self, policy: &LimitPolicy) -> u32 {
        match self.limit.load(Ordering::Relaxed) {
            0 => policy.first.clamp(policy.min.max(1), policy.max.max(policy.min).max(1)),
            bits => f64::from_bits(bits) as u32,
        }
    }

    /// Whether one more of this priority is let through while `in_flight` are.
    pub(crate) fn admits(&self, in_flight: u32, priority: Priority, policy: &LimitPolicy) -> bool {
        let mut limit = self.limit(policy);
        if priority < Priority::Critical && self.windows.load(Ordering::Relaxed) >= MEASURE_AFTER {
            limit = (limit / 4).max(policy.min);
        }
        let share = limit.saturating_mul(priority.tenths()).div_ceil(10).max(1);
        let admits = in_flight < share;
        if !admits && !self.has_refused.load(Ordering::Relaxed) {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        admits
    }

    /// A request ended after `latency`; `in_flight` were under way with it.
    pub(crate) fn ended(&self, now: Moment, latency: Duration, in_flight: u32, policy: &LimitPolicy) {
        self.sum_micros.fetch_add(micros(latency), Ordering::Relaxed);
        let answers = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        if self.peak.load(Ordering::Relaxed) < in_flight {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
        let ends = self.window_ends.load(Ordering::Relaxed);
        if now.0 < ends || answers < ANSWERS_MIN {
            return;
        }
        let next = now.after(policy.window).0;
        if self.window_ends.compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.step(policy);
        }
    }

    /// Called by one thread in a window.
    fn step(&self, policy: &LimitPolicy) {
        let sum = self.sum_micros.swap(0, Ordering::Relaxed);
        let answers = self.answers.swap(0, Ordering::Relaxed).max(1);
        let peak = self.peak.swap(0, Ordering::Relaxed);
        let has_refused = self.has_refused.swap(false, Ordering::Relaxed);
        let limit = match self.limit.load(Ordering::Relaxed) {
            0 => f64::from(self.limit(policy)),
            bits => f64::from_bits(bits),
        };
        let least_micros = f64::from_bits(self.least_micros.load(Ordering::Relaxed));
        let is_used = has_refused || f64::from(peak) * 2.0 >= limit;
        let seen = Seen { micros: sum as f64 / answers as f64, is_used };
        let windows = self.windows.load(Ordering::Relaxed);
        let next = Gradient { limit, least_micros, windows }.next(seen, policy);
        self.limit.store(next.limit.to_bits(), Ordering::Relaxed);
        self.least_micros.store(next.least_micros.to_bits(), Ordering::Relaxed);
        self.windows.store(next.windows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn under_pressure_the_unimportant_is_refused_first() {
        let (limiter, policy) = (Limiter::default(), LimitPolicy { first: 20, ..LimitPolicy::default() });
        let order = [Priority::Background, Priority::Low, Priority::Normal, Priority::Critical];
        let up_to = order.map(|priority| (0..100).find(|busy| !limiter.admits(*busy, priority, &policy)));
        assert_eq!(up_to, [Some(10), Some(14), Some(18), Some(20)]);
    }

    const START: Gradient = Gradient { limit: 50.0, least_micros: 1000.0, windows: 0 };

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let policy = LimitPolicy::default();
        let idle = START.next(Seen { micros: 1000.0, is_used: false }, &policy);
        assert_eq!(idle.limit, 50.0);
        let busy = START.next(Seen { micros: 1000.0, is_used: true }, &policy);
        assert!(busy.limit > 51.0);
    }

    #[test]
    fn a_service_that_became_slower_for_good_gets_its_share_back() {
        let policy = LimitPolicy::default();
        for is_used in [true, false] {
            let mut at = START;
            for _ in 1..MEASURE_AFTER {
                at = at.next(Seen { micros: 4000.0, is_used: true }, &policy);
            }
            assert!(at.limit < 20.0, "{at:?}");
            // From here on the service is used much, or little until it is measured.
            for _ in 0..2 {
                at = at.next(Seen { micros: 4000.0, is_used }, &policy);
            }
            for _ in 0..60 {
                at = at.next(Seen { micros: 4000.0, is_used: true }, &policy);
            }
            assert!(at.limit > 50.0, "{at:?}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_stays_within_its_bounds(steps in prop::collection::vec((0.0f64..1e8, any::<bool>()), 1..200)) {
            let policy = LimitPolicy { min: 3, max: 40, ..LimitPolicy::default() };
            let mut at = Gradient { limit: 20.0, least_micros: f64::INFINITY, windows: 0 };
            for (micros, is_used) in steps {
                at = at.next(Seen { micros, is_used }, &policy);
                prop_assert!(at.limit >= 3.0 && at.limit <= 40.0 && at.least_micros.is_finite());
            }
        }
    }
}
