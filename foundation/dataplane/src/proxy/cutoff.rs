//! Ending answers that are on their way, from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment at which the answers that it was given to are cut, if they are still on their way. There is none until
/// somebody says so; then it only moves nearer.
#[derive(Debug)]
pub struct Cutoff {
    start: Instant,
    /// Milliseconds from the start.
    at: AtomicU64,
}

impl Default for Cutoff {
    fn default() -> Self {
        Self { start: Instant::now(), at: AtomicU64::new(u64::MAX) }
    }
}

impl Cutoff {
    /// In `wait` from now at the latest.
    pub fn after(&self, wait: Duration) {
        let at = self.start.elapsed().saturating_add(wait).as_millis();
        self.at.fetch_min(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether it has come.
    pub fn is_due(&self) -> bool {
        match self.at.load(Ordering::Relaxed) {
            u64::MAX => false,
            at => self.start.elapsed().as_millis() >= u128::from(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_when_somebody_says_so_and_never_later_than_was_said() {
        let cutoff = Cutoff::default();
        assert!(!cutoff.is_due());
        cutoff.after(Duration::ZERO);
        cutoff.after(Duration::from_secs(1000));
        assert!(cutoff.is_due());
    }
}
