//! A bounded table of states by key.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 32;

/// A state that can tell how much of a budget it stands for.
pub(crate) trait Used {
    /// Grows with what was used. Anything up to `now` is nothing, and may be forgotten without loss.
    fn used_until(&self) -> u64;
}

impl Used for u64 {
    fn used_until(&self) -> u64 {
        *self
    }
}

/// States by the hash of their keys. The hash has a key of this process, so nobody can choose what meets in one place.
pub(crate) struct Keyed<S> {
    shards: Box<[Mutex<HashMap<u64, S>>]>,
    hasher: RandomState,
    each_max: usize,
}

impl<S: Used> Keyed<S> {
    /// Room for about `keys_max` keys.
    pub(crate) fn new(keys_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), each_max: keys_max.div_ceil(SHARDS).max(1) }
    }

    /// Works on the state of `key`, a `fresh` one if there is none. Where there is no room, those are forgotten that
    /// stand for nothing at `now`, and if there are none, the one that stands for least.
    pub(crate) fn with<K: Hash + ?Sized, T>(
        &self,
        key: &K,
        now: u64,
        fresh: impl FnOnce() -> S,
        work: impl FnOnce(&mut S) -> T,
    ) -> T {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        if shard.len() >= self.each_max && !shard.contains_key(&hash) {
            make_room(&mut shard, now);
        }
        work(shard.entry(hash).or_insert_with(fresh))
    }

    /// Looks at every state, one shard after the other. Another `from` begins with another shard.
    pub(crate) fn each(&self, from: usize, mut look: impl FnMut(u64, &mut S)) {
        for at in 0..SHARDS {
            let shard = &self.shards[from.wrapping_add(at) % SHARDS];
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.iter_mut().for_each(|(hash, state)| look(*hash, state));
        }
    }

    /// Works on a state that was seen before, if it is still there.
    pub(crate) fn again(&self, hash: u64, work: impl FnOnce(&mut S)) {
        if let Some(state) = self.shard(hash).get_mut(&hash) {
            work(state);
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, HashMap<u64, S>> {
        let at = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let each = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        each.map(|shard| shard.len()).sum()
    }
}

fn make_room<S: Used>(shard: &mut HashMap<u64, S>, now: u64) {
    let before = shard.len();
    shard.retain(|_, state| state.used_until() > now);
    if shard.len() == before {
        let least = shard.iter().min_by_key(|(_, state)| state.used_until()).map(|(hash, _)| *hash);
        least.and_then(|hash| shard.remove(&hash));
    }
}

impl<S> std::fmt::Debug for Keyed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("each_max", &self.each_max).finish_non_exhaustive()
    }
}
