//! Time that only moves forward, handed in.
//!
//! The wall clock of `dozen_core::Clock` may jump, and whatever counts failures or waits for an end must not. Decisions
//! here take a [`Moment`]; where it comes from is a [`Monotonic`], so that a test replays an hour in a millisecond.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Microseconds since a start that lies before everything. Never zero when it comes from a clock, so that an atomic
/// zero can stand for "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment plus `wait`, or the last there is.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(micros(wait)))
    }

    /// How long from `earlier` to this moment; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Where moments come from. Production hands in [`RunningTime`], a test [`ManualTime`].
pub trait Monotonic: Send + Sync + 'static {
    /// The present moment: never before one that was told earlier, and never zero.
    fn now(&self) -> Moment;
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct RunningTime(Instant);

impl Default for RunningTime {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Monotonic for RunningTime {
    fn now(&self) -> Moment {
        Moment(1 + micros(self.0.elapsed()))
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualTime(AtomicU64);

impl Default for ManualTime {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl ManualTime {
    /// Moves forward by `step`.
    pub fn advance(&self, step: Duration) {
        self.0.fetch_add(micros(step), Ordering::SeqCst);
    }
}

impl Monotonic for ManualTime {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

/// Whole microseconds; those that do not fit are the most that does.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
