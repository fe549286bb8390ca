//! A bounded table of states by key.
//!
//! Each shard has two generations. A new key goes into the young one; when that is full the old one is forgotten and the
//! young one becomes old; what is asked for in the old one becomes young again. Before the old one is forgotten, those of
//! it that stand for most are taken along, so that a flood of new keys does not give back what somebody has used. So the
//! memory is bounded, and a key costs the same whether there is room or not: the look at all that are forgotten is paid
//! by as many that came.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::MutexGuard;

use dozen_core::Mutex;

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
    shards: Box<[Mutex<Shard<S>>]>,
    hasher: RandomState,
}

struct Shard<S> {
    young: HashMap<u64, S>,
    old: HashMap<u64, S>,
    /// Keys of one generation.
    each_max: usize,
}

impl<S: Used> Keyed<S> {
    /// Room for about `keys_max` keys.
    pub(crate) fn new(keys_max: usize) -> Self {
        let each_max = (keys_max / (2 * SHARDS)).max(1);
        let shard = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new(), each_max });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::new() }
    }

    /// Works on the state of `key`, a `fresh` one if there is none. Where there is no room, those are forgotten that
    /// were not asked for the longest, and of these last the ones that stand for most at `now`.
    pub(crate) fn with<K: Hash + ?Sized, T>(
        &self,
        key: &K,
        now: u64,
        fresh: impl FnOnce() -> S,
        work: impl FnOnce(&mut S) -> T,
    ) -> T {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        if let Some(state) = shard.young.get_mut(&hash) {
            return work(state);
        }
        let mut state = shard.old.remove(&hash).unwrap_or_else(fresh);
        let worked = work(&mut state);
        shard.insert(hash, state, now);
        worked
    }

    /// Looks at every state, one shard after the other. Another `from` begins with another shard.
    pub(crate) fn each(&self, from: usize, mut look: impl FnMut(u64, &mut S)) {
        for at in 0..SHARDS {
            let shard = &self.shards[from.wrapping_add(at) % SHARDS];
            let mut shard = shard.lock();
            let Shard { young, old, .. } = &mut *shard;
            young.iter_mut().chain(old).for_each(|(hash, state)| look(*hash, state));
        }
    }

    /// Works on a state that was seen before, if it is still there.
    pub(crate) fn again(&self, hash: u64, work: impl FnOnce(&mut S)) {
        let mut shard = self.shard(hash);
        let Shard { young, old, .. } = &mut *shard;
        if let Some(state) = young.get_mut(&hash).or_else(|| old.get_mut(&hash)) {
            work(state);
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<S>> {
        let at = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[at].lock()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let each = self.shards.iter().map(|shard| shard.lock());
        each.map(|shard| shard.young.len() + shard.old.len()).sum()
    }
}

impl<S: Used> Shard<S> {
    fn insert(&mut self, hash: u64, state: S, now: u64) {
        if self.young.len() >= self.each_max {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let mut kept: Vec<_> =
                forgotten.into_iter().filter(|(_, state)| state.used_until() > now).collect();
            // Half of the room at most, so that as many new ones come before the next time.
            let most = self.each_max / 2;
            if kept.len() > most {
                kept.select_nth_unstable_by_key(most, |(_, state)| std::cmp::Reverse(state.used_until()));
                kept.truncate(most);
            }
            self.young.extend(kept);
        }
        self.young.insert(hash, state);
    }
}

impl<S> std::fmt::Debug for Keyed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").finish_non_exhaustive()
    }
}
