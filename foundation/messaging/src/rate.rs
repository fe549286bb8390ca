//! How often something may begin.

use std::time::Duration;

use dozen_core::Mutex;
use tokio::time::Instant;

/// Lets at most so many begin in a second, evenly: the generic cell rate algorithm with a burst of a tenth of a second.
#[derive(Debug)]
pub struct Rate {
    step: Duration,
    burst: Duration,
    /// When the next one is due.
    next: Mutex<Instant>,
}

impl Rate {
    /// At most `per_second`, which is at least one in a day.
    pub fn new(per_second: f64) -> Self {
        let step = Duration::from_secs_f64(1.0 / per_second.clamp(1.0 / 86_400.0, 1e9));
        Self { step, burst: Duration::from_millis(100).max(step), next: Mutex::new(Instant::now()) }
    }

    /// Returns when the caller may begin. Who is dropped while it waits has used up its turn.
    pub async fn turn(&self) {
        let turn = self.book(Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    fn book(&self, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let saved = now.checked_sub(self.burst - self.step).unwrap_or(now);
        let turn = (*next).max(saved);
        *next = turn + self.step;
        turn.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_a_tenth_of_a_second_and_the_rest_is_even() {
        let rate = Rate::new(100.0);
        let now = Instant::now() + Duration::from_secs(10);
        let turns: Vec<Duration> = (0..13).map(|_| rate.book(now) - now).collect();
        assert!(turns[..10].iter().all(Duration::is_zero), "{turns:?}");
        assert_eq!(turns[10], Duration::from_millis(10));
        assert_eq!(turns[12], Duration::from_millis(30));
    }
}
