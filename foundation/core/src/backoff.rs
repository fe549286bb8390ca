//! How long to wait before trying again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential back-off with jitter and a cap.
///
/// The wait before attempt *n* is drawn evenly from the upper half of `min(cap, first · 2ⁿ⁻¹)`: enough spread
/// that a crowd of callers which failed together does not come back together, and never so little that a
/// retry is immediate. (The "equal jitter" of Marc Brooker, *Exponential Backoff And Jitter*, AWS 2015.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The wait before the first retry, before jitter.
    pub first: Duration,
    /// No wait is longer than this.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(300))
    }
}

impl Backoff {
    /// Waits that grow from `first` to `cap`. A `cap` below `first` is raised to it.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap: cap.max(first) }
    }

    /// The wait after the `failures`-th failure in a row (from 1), with `random` as the source of jitter.
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(32);
        let full = self.first.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap);
        let half = u64::try_from(full.as_micros() / 2).unwrap_or(u64::MAX);
        Duration::from_micros(half + if half == 0 { 0 } else { random % (half + 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_never_beyond() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let longest = |failures| backoff.delay(failures, u64::MAX / 2 * 2);
        for failures in 1..100 {
            let delay = longest(failures);
            assert!(delay <= backoff.cap, "{failures}: {delay:?}");
            assert!(delay >= Duration::from_millis(50), "{failures}: {delay:?}");
        }
        assert!(backoff.delay(5, 0) >= Duration::from_millis(800));
    }

    #[test]
    fn a_zero_wait_stays_zero() {
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).delay(7, 42), Duration::ZERO);
    }
}
