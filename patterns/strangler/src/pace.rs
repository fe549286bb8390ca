//! How long a side usually takes to begin an answer, and so how long is too long.
//!
//! What the latency threshold allows, applied to the slowest answers: `p99` times what all but `errors` of the answers of the
//! last one or two windows took to begin, whichever side gave them. As many as that may be slower without breaking a
//! threshold. It is half a second at least, because a pause of the machine is no outage. An answer that fails measures
//! nothing, however fast it is.
//!
//! Nothing is too long before a whole window was measured: the fast answers of a process that has just started come first, and
//! would be taken for all that there is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::gate::Histogram;
use crate::options::GateOptions;
use crate::tally::Latencies;

/// Nobody is given up sooner.
pub(crate) const LEAST: Duration = Duration::from_millis(500);
/// Nobody is waited for longer.
const MOST: Duration = Duration::from_secs(60);
/// Answers that are a measure.
const ANSWERS_MIN: u64 = 20;

/// What answers take to begin.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    present: Latencies,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    /// When the present one began; none before the first look at the clock.
    began: Option<Instant>,
    /// What was measured in the whole one before it.
    before: Option<Histogram>,
}

impl Pace {
    /// An answer has begun after so long.
    pub(crate) fn began(&self, after: Duration) {
        self.present.count(after);
    }

    /// Begins a window, where one of this length is over; what was before it is forgotten.
    pub(crate) fn turn(&self, now: Instant, length: Duration) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *windows.began.get_or_insert(now);
        if now.saturating_duration_since(began) >= length {
            *windows = Windows { began: Some(now), before: Some(self.present.take()) };
        }
    }

    /// How long somebody may wait before the side that keeps them waiting has failed.
    pub(crate) fn patience(&self, options: &GateOptions) -> Duration {
        let before = self.windows.lock().unwrap_or_else(PoisonError::into_inner).before.clone();
        let Some(mut measured) = before else { return MOST };
        measured.add(&self.present.read());
        let slowest = measured.quantile(1.0 - options.errors.fraction());
        match slowest.filter(|_| measured.total() >= ANSWERS_MIN) {
            Some(slowest) => {
                Duration::from_secs_f64((slowest * options.p99).min(MOST.as_secs_f64())).max(LEAST)
            }
            None => MOST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace, and a way to its next window.
    fn pace() -> (Pace, impl FnMut(&Pace)) {
        let (pace, mut now) = (Pace::default(), Instant::now());
        let length = GateOptions::default().window;
        pace.turn(now, length);
        (pace, move |pace: &Pace| {
            now += length;
            pace.turn(now, length);
        })
    }

    #[test]
    fn patience_follows_what_is_usual_and_forgets_what_was() {
        let ((pace, mut turn), options) = (pace(), GateOptions::default());
        (0..100).for_each(|_| pace.began(Duration::from_millis(3)));
        assert_eq!(pace.patience(&options), MOST, "who is slow has not answered yet");
        turn(&pace);
        assert_eq!(pace.patience(&options), LEAST, "however fast it is");
        (0..100).for_each(|_| pace.began(Duration::from_secs(2)));
        let patience = pace.patience(&options).as_secs_f64();
        assert!((2.0 * 1.1..2.0 * 1.1 * 1.05).contains(&patience), "who is slow may stay slow: {patience}");
        turn(&pace);
        (0..50).for_each(|_| pace.began(Duration::from_millis(3)));
        assert!(pace.patience(&options) > Duration::from_secs(2), "a window later still");
        turn(&pace);
        assert_eq!(pace.patience(&options), LEAST);
        let patient = GateOptions { p99: 1e300, ..options.clone() };
        assert_eq!(pace.patience(&patient), MOST);
        turn(&pace);
        assert_eq!(pace.patience(&options), MOST, "nobody was answered for a while");
    }

    #[test]
    fn as_many_as_may_fail_say_nothing_of_what_is_usual() {
        let ((pace, mut turn), options) = (pace(), GateOptions::default());
        (0..9_995).for_each(|_| pace.began(Duration::from_millis(3)));
        (0..5).for_each(|_| pace.began(Duration::from_secs(20)));
        turn(&pace);
        assert_eq!(pace.patience(&options), LEAST);
    }
}
