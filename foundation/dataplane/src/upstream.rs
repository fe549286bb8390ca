//! Which instance of a service a request goes to, and whether it goes at all.
//!
//! ```text
//! discovery ──watch──► Source ──► Roster ──pick──► Lease on one endpoint ──► succeeded, failed, or dropped
//!                    (last good)    │                │                            │
//!                    probes ──────► │ well? ejected? │ in flight, circuit,        │
//!                                   │ load? latency? │ limit, budget  ◄───────────┘
//!                             state by address    state of the service
//! ```
//!
//! One [`Upstream`] for each service and process, however many routes lead to it. What is known of an endpoint belongs to
//! the pair of service and address, what is known of a service to its name: both outlive every change of the
//! configuration and of the set, and all workers share them, without a lock or an allocation on the way of a request.
//! When whoever writes the sets has gone, the last one stays in use.
//!
//! Three witnesses speak about an endpoint. *Discovery* says whether it is there, and is believed. *Probes*, where there
//! are any, say whether it is well, and are believed, even when none is well. *Its answers* are a guess: an endpoint that
//! keeps failing is ejected for a while, but never more than half of those that are well, because then the fault is likely
//! elsewhere, and trying is better than refusing. A good answer to a request that was sent since, or a good probe, ends an
//! ejection.

mod choice;
mod ejection;
mod endpoint;
mod health;
mod lease;
mod policy;
mod probes;
mod ring;
mod roster;
mod service;
mod shared;
mod source;
mod verdict;
mod view;
mod want;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use dozen_core::EndpointSet;
use tokio::sync::{Notify, watch};

pub(crate) use endpoint::EndpointState;

pub use ejection::Ejection;
pub use health::{Health, HealthPolicy};
pub use lease::Lease;
pub use policy::{PolicyError, ServicePolicy, Strategy};
pub use probes::Probes;
pub use ring::hash_key;
pub use service::Upstream;
pub use shared::Totals;
pub use view::{EndpointView, ServiceView};
pub use want::{Unavailable, Want};

use crate::Transport;
use crate::moment::{Monotonic, RunningTime};

/// Finds the endpoints of a service by its name; `None` for a service that nobody knows.
pub type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// The services that this process calls, and how they fare.
pub struct Upstreams {
    resolve: Resolve,
    clock: Arc<dyn Monotonic>,
    services: Mutex<Services>,
    /// Told when there is a service or a policy to look at.
    changed: Notify,
}

/// By name.
struct Services {
    usual: Arc<ServicePolicy>,
    own: BTreeMap<String, Arc<ServicePolicy>>,
    called: HashMap<String, Arc<Upstream>>,
    /// How services are spoken to that do not speak plain HTTP/1.1.
    transports: BTreeMap<String, Arc<Transport>>,
}

impl Services {
    fn policy(&self, name: &str) -> Arc<ServicePolicy> {
        self.own.get(name).unwrap_or(&self.usual).clone()
    }

    fn call_by(&mut self, usual: ServicePolicy, own: BTreeMap<String, ServicePolicy>) {
        self.usual = Arc::new(usual);
        self.own = own.into_iter().map(|(name, policy)| (name, Arc::new(policy))).collect();
    }

    fn speak(&mut self, transports: BTreeMap<String, Arc<Transport>>) {
        self.transports = transports;
        for (name, upstream) in &self.called {
            upstream.speak(self.transports.get(name).cloned());
        }
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").field("services", &self.services().called.len()).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// Services found by `resolve`, and called by `usual` unless [`Self::configure`] says otherwise.
    pub fn new(resolve: Resolve, usual: ServicePolicy) -> Self {
        Self::with_clock(resolve, usual, Arc::new(RunningTime::default()))
    }

    /// The same, by the time of `clock`.
    pub fn with_clock(resolve: Resolve, usual: ServicePolicy, clock: Arc<dyn Monotonic>) -> Self {
        let services = Services {
            usual: Arc::new(usual),
            own: BTreeMap::new(),
            called: HashMap::new(),
            transports: BTreeMap::new(),
        };
        Self { resolve, clock, services: Mutex::new(services), changed: Notify::new() }
    }

    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The service called `name`, once it is known. Bounded by the services that exist.
    pub fn get(&self, name: &str) -> Option<Arc<Upstream>> {
        let mut services = self.services();
        if let Some(upstream) = services.called.get(name) {
            return Some(upstream.clone());
        }
        let watching = (self.resolve)(name)?;
        let upstream = Arc::new(Upstream::new(name, watching, services.policy(name), self.clock.clone()));
        upstream.speak(services.transports.get(name).cloned());
        services.called.insert(name.to_owned(), upstream.clone());
        self.changed.notify_one();
        Some(upstream)
    }

    /// Whether an instance of `name` is known, without remembering the name: it may come from anybody. `None` for a service
    /// that nobody knows.
    pub fn look(&self, name: &str) -> Option<bool> {
        if self.services().called.contains_key(name) {
            return Some(true);
        }
        (self.resolve)(name).map(|set| !set.borrow().endpoints.is_empty())
    }

    /// How the service `name` is spoken to, known or not; plain HTTP/1.1 without.
    pub fn transport(&self, name: &str) -> Option<Arc<Transport>> {
        self.services().transports.get(name).cloned()
    }

    /// All services that have been asked for.
    pub fn all(&self) -> Vec<Arc<Upstream>> {
        self.services().called.values().cloned().collect()
    }

    /// The same as they stand, by name.
    pub fn views(&self) -> Vec<ServiceView> {
        let mut views: Vec<_> = self.all().iter().map(|upstream| upstream.view()).collect();
        views.sort_by(|one, other| one.service.cmp(&other.service));
        views
    }

    /// How the service `name` is called from now on, known or not. What is known of it stays.
    pub fn configure(&self, name: &str, policy: ServicePolicy) {
        let mut services = self.services();
        services.own.insert(name.to_owned(), Arc::new(policy));
        self.apply(&services, Some(name));
    }

    /// How all services are called from now on: those in `own` by their own policy, and all others by `usual`.
    pub fn configure_all(&self, usual: ServicePolicy, own: BTreeMap<String, ServicePolicy>) {
        let mut services = self.services();
        services.call_by(usual, own);
        self.apply(&services, None);
    }

    /// How services are spoken to from now on: those that are named by their own transport, and all others in plain
    /// HTTP/1.1. Requests that have begun keep theirs.
    pub fn speak(&self, transports: BTreeMap<String, Arc<Transport>>) {
        self.services().speak(transports);
    }

    /// Both at one moment, and with it `meanwhile`: nobody asks for a service in between. Who has one of those in `parted`
    /// ends with what it was: its endpoints, its policy and its transport; who asks for it from now on gets another one.
    pub fn exchange(
        &self,
        (usual, own): (ServicePolicy, BTreeMap<String, ServicePolicy>),
        transports: BTreeMap<String, Arc<Transport>>,
        parted: &[String],
        meanwhile: impl FnOnce(),
    ) {
        let mut services = self.services();
        let parted = parted.iter().filter_map(|name| services.called.remove(name));
        parted.for_each(|upstream| upstream.part());
        services.speak(transports);
        services.call_by(usual, own);
        self.apply(&services, None);
        meanwhile();
    }

    fn apply(&self, services: &Services, only: Option<&str>) {
        let concerned = services.called.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
        for (name, upstream) in concerned {
            upstream.configure(services.policy(name));
        }
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
