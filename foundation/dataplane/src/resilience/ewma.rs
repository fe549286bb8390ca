//! How slow an endpoint is at the moment: a moving average that believes bad news at once and good news with time.
//!
//! Peak-EWMA (Marius Eriksen and others, Twitter's *Finagle*, 2015; the default of linkerd): an answer that is slower than
//! the average replaces it, a faster one pulls it down with a half-life of some seconds. Multiplied with the requests in
//! flight it is the wait to expect. Without answers it decays, so that an endpoint which was slow is asked again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::moment::Moment;

/// After this time without an answer, what is left is 1/e of the average.
const DECAY_MILLIS: f32 = 10_000.0;
/// What an endpoint is taken for of which, and of whose neighbours, nothing is known.
const UNKNOWN_MICROS: f32 = 1_000.0;
/// No endpoint is told to be faster or slower.
const RANGE_MICROS: (f32, f32) = (1.0, 60e6);

/// One word: the average in microseconds as an `f32`, negative while it is a guess, and when in milliseconds.
#[derive(Debug)]
pub(crate) struct Ewma(AtomicU64);

impl Ewma {
    /// Begins with a guess, the average of the neighbours: an endpoint that nobody knows is neither flooded nor avoided.
    /// The first answer replaces it.
    pub(crate) fn guess(now: Moment, neighbours: Option<f32>) -> Self {
        let micros = neighbours.unwrap_or(UNKNOWN_MICROS).clamp(RANGE_MICROS.0, RANGE_MICROS.1);
        Self(AtomicU64::new(word(-micros, now)))
    }

    /// The average at this moment, in microseconds.
    pub(crate) fn micros(&self, now: Moment) -> f32 {
        let (micros, age) = read(self.0.load(Ordering::Relaxed), now);
        let decayed = if micros < 0.0 { -micros } else { micros * (-age / DECAY_MILLIS).exp() };
        decayed.max(RANGE_MICROS.0)
    }

    /// An answer came after `latency`.
    pub(crate) fn answered(&self, now: Moment, latency: Duration) {
        let sample = (latency.as_secs_f32() * 1e6).clamp(RANGE_MICROS.0, RANGE_MICROS.1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let (average, age) = read(old, now);
            let next = if average < 0.0 || sample >= average {
                sample
            } else {
                average + (sample - average) * -(-age / DECAY_MILLIS).exp_m1()
            };
            Some(word(next, now))
        });
    }

    /// A request failed after `latency`. It counts as at least twice the average: an endpoint that fails at once must not
    /// look like the fastest.
    pub(crate) fn failed(&self, now: Moment, latency: Duration) {
        let twice = Duration::from_secs_f32(self.micros(now) * 2e-6);
        self.answered(now, latency.max(twice));
    }
}

fn word(micros: f32, now: Moment) -> u64 {
    u64::from(micros.to_bits()) << 32 | (now.0 / 1000) & u64::from(u32::MAX)
}

/// The average, and its age in milliseconds, which is right for 49 days.
fn read(word: u64, now: Moment) -> (f32, f32) {
    let age = ((now.0 / 1000) as u32).wrapping_sub(word as u32);
    (f32::from_bits((word >> 32) as u32), age as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ewma: &Ewma, now: Moment, millis: f32) {
        let told = ewma.micros(now) / 1000.0;
        assert!((told - millis).abs() <= millis * 0.02, "{told} instead of {millis}");
    }

    #[test]
    fn a_guess_is_replaced_and_a_peak_believed_at_once() {
        let now = Moment(1_000_000);
        let ewma = Ewma::guess(now, Some(30_000.0));
        close(&ewma, now.after(Duration::from_secs(60)), 30.0);
        ewma.answered(now, Duration::from_millis(2));
        close(&ewma, now, 2.0);
        ewma.answered(now, Duration::from_millis(50));
        close(&ewma, now, 50.0);
    }

    #[test]
    fn good_news_is_believed_with_time_and_silence_decays() {
        let mut now = Moment(1_000_000);
        let ewma = Ewma::guess(now, None);
        ewma.answered(now, Duration::from_millis(100));
        for _ in 0..10_000 {
            now = now.after(Duration::from_millis(1));
            ewma.answered(now, Duration::from_millis(1));
        }
        close(&ewma, now, 1.0 + 99.0 / std::f32::consts::E);
        close(
            &ewma,
            now.after(Duration::from_secs(10)),
            (1.0 + 99.0 / std::f32::consts::E) / std::f32::consts::E,
        );
        close(&ewma, now.after(Duration::from_secs(3600)), 0.001);
    }

    #[test]
    fn a_fast_failure_makes_slow() {
        let now = Moment(1_000_000);
        let ewma = Ewma::guess(now, None);
        ewma.answered(now, Duration::from_millis(4));
        ewma.failed(now, Duration::from_micros(10));
        close(&ewma, now, 8.0);
        ewma.failed(now, Duration::from_millis(40));
        close(&ewma, now, 40.0);
    }
}
