//! Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

use crate::Clock;

/// Makes ids and random numbers from a clock and a seed; the same two give the same sequence.
///
/// Lock-free and cheap (no system call), so it may stand on a hot path. The numbers are SplitMix64 (Steele, Lea,
/// Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014): good for ids and jitter, not for secrets.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    state: Arc<AtomicU64>,
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

impl Ids {
    /// Ids in the order of `clock`. Two processes must not share a `seed`.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { clock, state: Arc::new(AtomicU64::new(seed)) }
    }

    /// The next id.
    pub fn next(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now().millis()).unwrap_or(0);
        let mut random = [0u8; 10];
        random[..8].copy_from_slice(&self.random().to_be_bytes());
        random[8..].copy_from_slice(&self.random().to_be_bytes()[..2]);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// The next 64 random bits.
    pub fn random(&self) -> u64 {
        let mut z = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The clock behind the ids.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ManualClock, Timestamp};

    #[test]
    fn ids_are_version_7_sort_by_time_and_replay_by_seed() {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let ids = Ids::new(clock.clone(), 7);
        let first = ids.next();
        clock.advance(std::time::Duration::from_millis(1));
        let second = ids.next();
        assert_eq!(first.get_version_num(), 7);
        assert!(first < second);
        assert_eq!(Ids::new(Arc::new(ManualClock::new(Timestamp(1_000_000))), 7).next(), first);
    }
}
