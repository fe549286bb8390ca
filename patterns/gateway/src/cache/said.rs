//! How a request was answered, for `Cache-Status` (RFC 9211) and for the counters.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue, Response};

/// How a cache can come into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// From a fresh copy.
    Hit,
    /// From a stale copy: while a new one is fetched, or because the client takes it so.
    Stale,
    /// From a stale copy in the place of a failure.
    StaleIfError,
    /// From a copy that still holds, as the service said.
    Revalidated,
    /// By what another request, which was under way, brought.
    Collapsed,
    /// From the service, because there was no copy that could be used.
    Miss,
    /// From the service, because it is nothing for a cache.
    Bypass,
}

impl Cached {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Hit,
        Self::Stale,
        Self::StaleIfError,
        Self::Revalidated,
        Self::Collapsed,
        Self::Miss,
        Self::Bypass,
    ];

    /// A word for it, for a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::StaleIfError => "stale_if_error",
            Self::Revalidated => "revalidated",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// How often each was.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; Cached::ALL.len()]);

impl Counts {
    pub(super) fn count(&self, cached: Cached) {
        self.0[cached as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> [u64; Cached::ALL.len()] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Adds what the cache did. `left` is for how long the copy is still fresh, and `key` whether the answer was kept.
pub(super) fn say<B>(response: &mut Response<B>, cached: Cached, left: Option<i64>, is_stored: bool) {
    let told = match cached {
        Cached::Hit | Cached::Stale | Cached::StaleIfError => "dozen; hit",
        Cached::Revalidated => "dozen; hit; fwd=stale; fwd-status=304",
        Cached::Collapsed => "dozen; hit; fwd=uri-miss; collapsed",
        Cached::Miss if is_stored => "dozen; fwd=uri-miss; stored",
        Cached::Miss => "dozen; fwd=uri-miss",
        Cached::Bypass => "dozen; fwd=bypass",
    };
    let told = match (cached, left) {
        (Cached::StaleIfError, Some(left)) => format!("{told}; ttl={left}; detail=stale-if-error"),
        (_, Some(left)) => format!("{told}; ttl={left}"),
        (_, None) => told.to_owned(),
    };
    if let Ok(told) = HeaderValue::from_str(&told) {
        // Caches behind this one have said theirs before.
        response.headers_mut().append(CACHE_STATUS, told);
    }
}
