//! Tokens that have been verified, known again by all of their bytes.
//!
//! An entry is found by a hash with a key of this process, and taken only if the whole token is the same; that
//! comparison takes as long for a wrong token as for the right one. Nobody can therefore learn a token from the time
//! that an answer takes, or make two tokens meet in one place.
//!
//! Each shard has two generations. A new entry goes into the young one; when that is full the old one is forgotten and
//! the young one becomes old; what is found in the old one becomes young again. So the memory is bounded, what is used
//! stays, and no list has to be kept in order.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use dozen_core::{Mutex, Timestamp};
use subtle::{Choice, ConstantTimeEq};

const SHARDS: usize = 32;
/// Bytes of tokens for each entry that is allowed, on average: a bound where tokens are long.
const BYTES_EACH: usize = 2 * 1024;

/// A bounded memory of what tokens stand for.
pub(crate) struct TokenCache<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
}

struct Shard<V> {
    young: HashMap<u64, Entry<V>>,
    old: HashMap<u64, Entry<V>>,
    bytes: usize,
    each_max: usize,
}

struct Entry<V> {
    token: Box<[u8]>,
    value: V,
    until: Timestamp,
    generation: u64,
}

impl<V: Clone> TokenCache<V> {
    /// Room for at most `entries_max` tokens.
    pub(crate) fn new(entries_max: usize) -> Self {
        let each_max = (entries_max / (2 * SHARDS)).max(1);
        let shard = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new(), bytes: 0, each_max });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::new() }
    }

    /// What a token stands for, if that was put in for the same `generation` of keys and holds still.
    pub(crate) fn get(&self, token: &[u8], generation: u64, now: Timestamp) -> Option<V> {
        let hash = self.hasher.hash_one(token);
        let mut shard = self.shard(hash);
        if let Some(entry) = shard.young.get(&hash) {
            return entry.value_for(token, generation, now);
        }
        let entry = shard.old.remove(&hash)?;
        let value = entry.value_for(token, generation, now)?;
        shard.insert(hash, entry);
        Some(value)
    }

    /// Remembers what a token stands for.
    pub(crate) fn put(&self, token: &[u8], value: V, generation: u64, until: Timestamp) {
        let hash = self.hasher.hash_one(token);
        self.shard(hash).insert(hash, Entry { token: token.into(), value, until, generation });
    }

    fn shard(&self, hash: u64) -> std::sync::MutexGuard<'_, Shard<V>> {
        let at = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[at].lock()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let each = self.shards.iter().map(|shard| shard.lock());
        each.map(|shard| shard.young.len() + shard.old.len()).sum()
    }
}

impl<V> Shard<V> {
    fn insert(&mut self, hash: u64, entry: Entry<V>) {
        if self.young.len() >= self.each_max || self.bytes >= self.each_max * BYTES_EACH {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += entry.token.len();
        self.young.insert(hash, entry);
    }
}

impl<V: Clone> Entry<V> {
    fn value_for(&self, token: &[u8], generation: u64, now: Timestamp) -> Option<V> {
        let holds = self.generation == generation && now < self.until && same(&self.token, token);
        holds.then(|| self.value.clone())
    }
}

/// Whether two texts are the same, in a time that depends on their length alone. Eight bytes at once: the comparison
/// of single bytes would cost more than the hash.
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (one, one_rest) = one.as_chunks::<8>();
    let (other, other_rest) = other.as_chunks::<8>();
    let words = one.iter().zip(other).fold(Choice::from(1), |equal, (one, other)| {
        equal & u64::from_ne_bytes(*one).ct_eq(&u64::from_ne_bytes(*other))
    });
    bool::from(words & one_rest.ct_eq(other_rest))
}

impl<V> std::fmt::Debug for TokenCache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}
