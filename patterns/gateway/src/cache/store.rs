//! The copies, within a bound of bytes: those used longest ago go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use dozen_core::{Ids, Mutex};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::flight::Flights;
use super::rules::{Freshness, vary};
use super::said::{Cached, Counts};

/// Copies of one address that differ by the request's headers.
const VARIANTS_MAX: usize = 16;
/// What a copy takes beside its bytes, roughly.
const OVERHEAD: usize = 512;

/// An answer that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) freshness: Freshness,
    /// The headers of the request that it answers alone, and what they were.
    chosen: Box<[(HeaderName, Box<[HeaderValue]>)]>,
}

impl Kept {
    pub(super) fn new(
        asked: &HeaderMap,
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        freshness: Freshness,
    ) -> Self {
        let chosen = vary(&headers).flatten().map(|name| {
            let values = asked.get_all(&name).iter().cloned().collect();
            (name, values)
        });
        let chosen = chosen.collect();
        Self { status, headers, body, freshness, chosen }
    }

    /// Whether it answers a request with these headers (§4.1).
    fn is_for(&self, asked: &HeaderMap) -> bool {
        self.chosen.iter().all(|(name, values)| asked.get_all(name).iter().eq(values.iter()))
    }

    fn replaces(&self, other: &Self) -> bool {
        self.chosen == other.chosen
    }

    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
        let chosen = self.chosen.iter().map(|(name, values)| {
            name.as_str().len() + 32 + values.iter().map(|value| value.len() + 32).sum::<usize>()
        });
        self.body.len() + headers.chain(chosen).sum::<usize>() + OVERHEAD
    }
}

/// The answers that a route keeps. It outlives the configuration.
#[derive(Debug)]
pub(crate) struct Cache {
    max: usize,
    pub(super) ids: Ids,
    kept: Mutex<Shelf>,
    pub(super) flights: Arc<Flights>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Shelf {
    places: HashMap<Arc<str>, Place>,
    /// Places by when they were last used.
    order: BTreeMap<u64, Arc<str>>,
    turn: u64,
    bytes: usize,
    evicted: u64,
}

#[derive(Debug, Default)]
struct Place {
    variants: Vec<Arc<Kept>>,
    used: u64,
}

impl Cache {
    pub(crate) fn new(max: u64, ids: Ids) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (kept, flights, counts) = Default::default();
        Self { max, ids, kept, flights, counts }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.kept.lock()
    }

    /// The present moment, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.ids.clock().now().millis().div_euclid(1000)
    }

    /// The copy for a request with these headers: of several, the newest (§4.1).
    pub(super) fn find(&self, key: &Arc<str>, asked: &HeaderMap) -> Option<Arc<Kept>> {
        let mut shelf = self.shelf();
        shelf.touch(key);
        let place = shelf.places.get(key)?;
        place.variants.iter().rev().find(|kept| kept.is_for(asked)).cloned()
    }

    pub(super) fn keep(&self, key: &Arc<str>, kept: Kept) {
        let size = kept.size() + key.len();
        if size > self.max {
            return;
        }
        let mut shelf = self.shelf();
        let kept = Arc::new(kept);
        let place = shelf.places.entry(key.clone()).or_default();
        let mut freed = 0;
        place.variants.retain(|other| {
            let goes = kept.replaces(other);
            freed += if goes { other.size() + key.len() } else { 0 };
            !goes
        });
        if place.variants.len() >= VARIANTS_MAX {
            freed += place.variants.remove(0).size() + key.len();
        }
        place.variants.push(kept);
        shelf.bytes = shelf.bytes.saturating_sub(freed) + size;
        shelf.touch(key);
        while shelf.bytes > self.max {
            let Some(oldest) = shelf.order.first_key_value().map(|(_, key)| key.clone()) else { break };
            shelf.remove(&oldest);
            shelf.evicted += 1;
        }
    }

    /// Forgets all that is kept for an address.
    pub(super) fn forget(&self, key: &Arc<str>) {
        self.shelf().remove(key);
    }

    pub(super) fn count(&self, cached: Cached) {
        self.counts.count(cached);
    }

    /// How often answers came in each way, in the order of [`Cached::ALL`].
    pub(crate) fn counted(&self) -> [u64; Cached::ALL.len()] {
        self.counts.read()
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.shelf().bytes as u64
    }

    #[cfg(test)]
    pub(super) fn addresses(&self) -> usize {
        self.shelf().places.len()
    }
}

impl Shelf {
    fn touch(&mut self, key: &Arc<str>) {
        let Some(place) = self.places.get_mut(key) else { return };
        self.order.remove(&place.used);
        self.turn += 1;
        place.used = self.turn;
        self.order.insert(self.turn, key.clone());
    }

    fn remove(&mut self, key: &Arc<str>) {
        let Some(place) = self.places.remove(key) else { return };
        self.order.remove(&place.used);
        let freed: usize = place.variants.iter().map(|kept| kept.size() + key.len()).sum();
        self.bytes = self.bytes.saturating_sub(freed);
    }
}
