//! Which instance of a service a request goes to.
//!
//! ```text
//! discovery ──watch──► Upstream (one per service and process) ──pick──► Lease on one endpoint
//!                        │ view: the addresses of the newest set             │ counts as in flight until dropped
//!                        └ state by address: in flight, failures, ejected ◄──┘ tells how it went
//! ```
//!
//! The state belongs to the pair of service and address. It outlives every change of the configuration and of the
//! set, and all workers share it, without a lock on the way of a request.
//!
//! An endpoint that fails several times in a row is ejected for a while, which grows each time. Never more than half
//! of a set is ejected: when most of it fails, the fault is likely elsewhere, and trying is better than refusing. When
//! whoever writes the sets has gone, the last view stays in use.

mod endpoint;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dozen_core::EndpointSet;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use endpoint::EndpointState;
pub use endpoint::{EndpointView, Lease};

/// Sets up to this size are looked at whole.
const SCAN_MAX: usize = 4;
/// Addresses that left the set with a record, and are remembered.
const GONE_MAX: usize = 64;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The one with the fewest requests in flight: of all in a small set, of two drawn at random in a larger one
    /// (Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, 2001).
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
}

/// When an endpoint that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row that eject.
    pub failures: u32,
    /// How long the first time; the n-th ejection lasts n times as long.
    pub base: Duration,
    /// No ejection is longer.
    pub cap: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, base: Duration::from_secs(10), cap: Duration::from_secs(300) }
    }
}

/// Finds the endpoints of a service by its name; `None` for a service that nobody knows.
pub type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// The services that this process calls, and how their endpoints fare.
pub struct Upstreams {
    resolve: Resolve,
    strategy: Strategy,
    ejection: Ejection,
    start: Instant,
    by_name: Mutex<HashMap<String, Arc<Upstream>>>,
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").field("strategy", &self.strategy).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// Services found by `resolve`.
    pub fn new(resolve: Resolve, strategy: Strategy, ejection: Ejection) -> Self {
        Self { resolve, strategy, ejection, start: Instant::now(), by_name: Mutex::default() }
    }

    /// The service called `name`, once it is known. Bounded by the services that exist.
    pub fn get(&self, name: &str) -> Option<Arc<Upstream>> {
        let mut by_name = self.by_name.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(upstream) = by_name.get(name) {
            return Some(upstream.clone());
        }
        let source = (self.resolve)(name)?;
        let upstream = Arc::new(Upstream {
            service: name.into(),
            source: Mutex::new(Source { watching: source, gone: Vec::new() }),
            view: ArcSwap::default(),
            turn: AtomicU64::new(0),
            strategy: self.strategy,
            ejection: self.ejection,
            start: self.start,
        });
        upstream.rebuild();
        by_name.insert(name.to_owned(), upstream.clone());
        Some(upstream)
    }
}

/// The endpoints that can be chosen from at one moment.
#[derive(Default)]
struct View {
    all: Vec<(Arc<EndpointState>, u32)>,
    weights: u64,
}

impl View {
    /// How loaded an endpoint is, for its weight.
    fn load(&self, at: usize) -> u64 {
        let (state, weight) = &self.all[at];
        ((u64::from(state.in_flight()) + 1) << 16) / u64::from(*weight).max(1)
    }

    /// The endpoint whose turn it is: each has as many turns in a round as its weight.
    fn whose_turn(&self, turn: u64) -> usize {
        let mut left = turn % self.weights.max(1);
        for (at, (_, weight)) in self.all.iter().enumerate() {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return at,
            }
        }
        0
    }
}

/// What a service's watcher has seen, and what is remembered of addresses that are not in the view.
struct Source {
    watching: watch::Receiver<Arc<EndpointSet>>,
    gone: Vec<Arc<EndpointState>>,
}

/// One service.
pub struct Upstream {
    service: Arc<str>,
    source: Mutex<Source>,
    view: ArcSwap<View>,
    turn: AtomicU64,
    strategy: Strategy,
    ejection: Ejection,
    start: Instant,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Upstream {
    /// The service's name.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// Chooses an endpoint, none of `avoid` where there is a choice. `None` when no endpoint is healthy.
    ///
    /// `random` decides between equals.
    pub fn pick(&self, random: u64, avoid: &[u64]) -> Option<Lease> {
        self.refresh();
        let view = self.view.load();
        let count = view.all.len();
        if count <= 1 {
            return view.all.first().map(|(state, _)| Lease::take(state));
        }
        let ejected = |at: &usize| view.all[*at].0.is_ejected(|| self.now());
        // More ejected than half: the set shrank, or two were ejected in the same moment. Then all may be tried.
        let some = (0..count).filter(ejected).count() * 2 > count;
        let usable = |at: &usize| !avoid.contains(&view.all[*at].0.id) && (some || !ejected(at));
        let from = |start: usize| (0..count).map(move |step| (start + step) % count).filter(usable);
        let start = index(random, count);
        let chosen = match self.strategy {
            Strategy::RoundRobin => from(view.whose_turn(self.turn.fetch_add(1, Ordering::Relaxed))).next(),
            Strategy::LeastRequest if count <= SCAN_MAX => from(start).min_by_key(|at| view.load(*at)),
            Strategy::LeastRequest => {
                let other = from(index(random >> 32, count)).next();
                from(start).next().into_iter().chain(other).min_by_key(|at| view.load(*at))
            }
        };
        // Nothing but those to avoid is left: better one of them than none.
        Some(Lease::take(&view.all[chosen.unwrap_or(start)].0))
    }

    /// The request on `lease` was answered.
    pub fn succeeded(&self, lease: &Lease) {
        lease.state.succeeded();
    }

    /// The request on `lease` failed in a way that is the endpoint's fault.
    pub fn failed(&self, lease: &Lease) {
        if lease.state.failed() < self.ejection.failures {
            return;
        }
        let now = self.now();
        let view = self.view.load();
        let ejected = view.all.iter().filter(|(state, _)| state.is_ejected(|| now)).count();
        if (ejected + 1) * 2 > view.all.len() || lease.state.is_ejected(|| now) {
            return;
        }
        let length = lease.state.eject(now, self.ejection.base, self.ejection.cap);
        tracing::warn!(
            service = &*self.service,
            address = &*lease.state.address,
            for_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            "an endpoint keeps failing and is left alone for a while"
        );
    }

    /// All endpoints as they stand, for people.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        self.refresh();
        let now = self.now();
        let view = self.view.load();
        let set = self.source().watching.borrow().clone();
        let one = |endpoint: &dozen_core::Endpoint| {
            let known = view.all.iter().find(|(state, _)| *state.address == *endpoint.address);
            EndpointView {
                address: endpoint.address.clone(),
                healthy: endpoint.healthy && endpoint.weight > 0,
                ejected: known.is_some_and(|(state, _)| state.is_ejected(|| now)),
                in_flight: known.map_or(0, |(state, _)| state.in_flight()),
            }
        };
        set.endpoints.iter().map(one).collect()
    }

    /// Milliseconds of a clock that only moves forward.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes over a newer set, if there is one and no other thread is just doing so.
    fn refresh(&self) {
        let has_news = match self.source.try_lock() {
            // A sender that has gone is an error here; the last set that it wrote stays in force.
            Ok(source) => source.watching.has_changed().unwrap_or(false),
            Err(_) => false,
        };
        if has_news {
            self.rebuild();
        }
    }

    fn rebuild(&self) {
        let mut source = self.source();
        let set = source.watching.borrow_and_update().clone();
        let old = self.view.load();
        let mut known: Vec<_> = std::mem::take(&mut source.gone);
        known.extend(old.all.iter().map(|(state, _)| state.clone()));
        let mut all: Vec<(Arc<EndpointState>, u32)> = Vec::new();
        for endpoint in set.healthy() {
            if all.iter().any(|(state, _)| *state.address == *endpoint.address) {
                continue;
            }
            let at = known.iter().position(|state| *state.address == *endpoint.address);
            let state = match at {
                Some(at) => known.swap_remove(at),
                None => Arc::new(EndpointState::new(&endpoint.address)),
            };
            all.push((state, endpoint.weight));
        }
        // An address that fails, leaves and comes back at once must not come back spotless.
        known.retain(|state| !state.is_spotless());
        known.truncate(GONE_MAX);
        source.gone = known;
        let weights = all.iter().map(|(_, weight)| u64::from(*weight)).sum();
        self.view.store(Arc::new(View { all, weights }));
    }
}

/// A random number as an index below `count`.
fn index(random: u64, count: usize) -> usize {
    usize::try_from((random & 0xFFFF_FFFF) % count as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
