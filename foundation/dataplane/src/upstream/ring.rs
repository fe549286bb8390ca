//! Which endpoint owns a key: consistent hashing.
//!
//! ```text
//!     0 ── a ─── c ── b ────── a ── b ─ c ──── 2⁶⁴      each endpoint has many points, in proportion to its weight
//!                   ▲ key: b owns it; if b has no room, then a
//! ```
//!
//! A point depends on nothing but the endpoint's address, so an endpoint that comes takes its share of the keys from all
//! others, and one that goes leaves its own to them; no other key moves. All processes that see the same set agree.

use std::sync::Arc;

use dozen_core::Fnv;

/// Points of the heaviest endpoint: shares are then within about a tenth of what they should be.
const POINTS: usize = 128;
/// Points of all endpoints; in larger sets each has fewer.
const POINTS_MAX: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Ring {
    owners: Vec<(Arc<str>, u32)>,
    /// Hash and owner, in the order of the hashes.
    points: Vec<(u64, u32)>,
}

impl Ring {
    /// The ring of `owners`, each with its address and weight. None of them, and it is empty.
    pub(super) fn new(owners: Vec<(Arc<str>, u32)>) -> Self {
        let heaviest = owners.iter().map(|(_, weight)| *weight).max().unwrap_or(1).max(1);
        // Halved and not divided, so that points seldom change with the size of the set.
        let mut most = POINTS;
        while most > 1 && most * owners.len() > POINTS_MAX {
            most /= 2;
        }
        let mut points = Vec::with_capacity(most * owners.len());
        for (owner, (address, weight)) in owners.iter().enumerate() {
            let count = (most as u64 * u64::from(*weight) / u64::from(heaviest)).max(1);
            let seed = hash_key(address.as_bytes());
            points.extend((0..count).map(|point| (mix(seed ^ mix(point)), owner as u32)));
        }
        points.sort_unstable();
        Self { owners, points }
    }

    /// Whether it is the ring of these owners.
    pub(super) fn is_of(&self, owners: &[(Arc<str>, u32)]) -> bool {
        self.owners == owners
    }

    /// The owner of `key`, and then those that follow on the ring, each as often as it has points.
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let key = mix(key);
        let start = self.points.partition_point(|(point, _)| *point < key);
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before).map(|(_, owner)| *owner as usize)
    }
}

/// A key's bytes as the number that `Want` takes: the same in every process and version.
///
/// [`Fnv`], finished with the mixer of SplitMix64. It withstands accident, not malice: who can choose
/// keys can choose the endpoint.
pub fn hash_key(bytes: &[u8]) -> u64 {
    mix(Fnv::of(bytes.iter().copied()))
}

/// The mixer of SplitMix64.
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owners(weights: &[u32]) -> Vec<(Arc<str>, u32)> {
        let name = |at: usize| Arc::from(format!("10.0.0.{at}:80"));
        weights.iter().enumerate().map(|(at, weight)| (name(at), *weight)).collect()
    }

    fn shares(ring: &Ring, count: usize) -> Vec<u32> {
        let mut shares = vec![0; count];
        for key in 0..20_000 {
            shares[ring.walk(key).next().unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn shares_follow_the_weights() {
        let shares = shares(&Ring::new(owners(&[1, 2, 4])), 3);
        for (share, fair) in shares.iter().zip([2857.0, 5714.0, 11428.0]) {
            assert!((f64::from(*share) / fair - 1.0).abs() < 0.25, "{shares:?}");
        }
    }

    #[test]
    fn a_key_is_hashed_alike_for_ever() {
        assert_eq!(hash_key(b"customer-17"), hash_key("customer-17".as_bytes()));
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_ne!(hash_key(b""), hash_key(b"\0"));
    }

    #[test]
    fn an_empty_ring_owns_nothing_and_a_huge_one_is_bounded() {
        assert_eq!(Ring::new(Vec::new()).walk(7).count(), 0);
        let huge = Ring::new(owners(&vec![1; 3000]));
        assert!(huge.points.len() <= POINTS_MAX);
        assert_eq!(huge.points.len(), 3000 * 16);
    }

    proptest! {
        /// Whoever comes takes its share, and nobody else's key moves; whoever goes, the same backwards.
        #[test]
        fn a_change_moves_only_its_share(count in 2usize..30, salt: u64) {
            let fewer = Ring::new(owners(&vec![1; count]));
            let more = Ring::new(owners(&vec![1; count + 1]));
            let mut moved = 0;
            for key in 0..4000u64 {
                let key = key ^ salt;
                let (before, after) = (fewer.walk(key).next().unwrap(), more.walk(key).next().unwrap());
                if before != after {
                    prop_assert_eq!(after, count, "only to the one that came");
                    moved += 1;
                }
            }
            let fair = 4000.0 / (count as f64 + 1.0);
            prop_assert!(f64::from(moved) < fair * 1.6 + 40.0, "{} moved instead of {}", moved, fair);
        }
    }
}
