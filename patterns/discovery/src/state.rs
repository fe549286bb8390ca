//! What is known, without a clock, a lock or a socket: calls in, changed services out.
//!
//! Time is a [`Duration`] since any fixed moment, handed in by the caller from a clock that only moves forward.
//!
//! Each service has one immutable [`EndpointSet`], rebuilt when something about it changes. Versions come from one
//! counter for the whole registry, so that a service which is forgotten and comes back goes on with a higher one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Endpoint, EndpointSet};

use crate::limits::{check_endpoint, check_id, check_service, check_ttl};
use crate::{Error, Limits};

/// One instance, and how long it may stay.
struct Instance {
    endpoint: Endpoint,
    /// `None` for what is declared: it never expires.
    lease: Option<Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    ttl: Duration,
    due: Duration,
}

struct Service {
    set: Arc<EndpointSet>,
    instances: BTreeMap<String, Instance>,
}

/// All services and their instances.
pub(crate) struct State {
    limits: Limits,
    version: u64,
    services: BTreeMap<String, Service>,
    /// Every lease by its end: the next one to expire comes first.
    due: BTreeSet<(Duration, String, String)>,
}

/// The new set of a service that changed; `None` when nothing changed.
pub(crate) type Change = Option<Arc<EndpointSet>>;

impl State {
    /// Nothing is known yet. Versions begin above `version`.
    pub(crate) fn new(limits: Limits, version: u64) -> Self {
        Self { limits, version, services: BTreeMap::new(), due: BTreeSet::new() }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The present set of `service`; an empty one of version 0 when nothing was ever known of it.
    pub(crate) fn get(&self, service: &str) -> Arc<EndpointSet> {
        match self.services.get(service) {
            Some(known) => known.set.clone(),
            None => Arc::new(EndpointSet::empty(service)),
        }
    }

    /// The services that have an instance.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &Arc<EndpointSet>> {
        self.services.values().map(|service| &service.set).filter(|set| !set.endpoints.is_empty())
    }

    /// The instances with a lease: service, instance, time to live.
    pub(crate) fn registered(&self) -> Vec<(String, Endpoint, Duration)> {
        let of_service = |(service, known): (&String, &Service)| {
            let leased = known.instances.values().filter_map(|instance| {
                Some((service.clone(), instance.endpoint.clone(), instance.lease?.ttl))
            });
            leased.collect::<Vec<_>>()
        };
        self.services.iter().flat_map(of_service).collect()
    }

    /// Whether this can be declared of `service`, and why not.
    pub(crate) fn check(&self, service: &str, endpoints: &[Endpoint]) -> Result<(), Error> {
        check_service(service)?;
        for endpoint in endpoints {
            check_endpoint(endpoint, &self.limits)?;
        }
        let known = self.services.get(service);
        let has_room = self.services.len() < self.limits.services_max
            || self.services.values().any(|known| known.instances.is_empty());
        if known.is_none() && !has_room {
            return Err(self.full());
        }
        let leased = known.map_or(0, |known| known.instances.values().filter(|i| i.lease.is_some()).count());
        if endpoints.len() + leased > self.limits.instances_max {
            return Err(self.too_many(service));
        }
        Ok(())
    }

    /// Replaces what is declared of `service`. What registered itself stays, unless its id is now declared.
    pub(crate) fn declare(&mut self, service: &str, endpoints: Vec<Endpoint>) -> Result<Change, Error> {
        self.check(service, &endpoints)?;
        self.make_room(service)?;
        let known = entry(&mut self.services, service);
        let mut health = BTreeMap::new();
        known.instances.retain(|id, instance| {
            health.insert(id.clone(), (instance.endpoint.address.clone(), instance.endpoint.healthy));
            instance.lease.is_some()
        });
        for mut endpoint in endpoints {
            // What a prober knew of this address outlives a reload of the configuration.
            match health.get(&endpoint.id) {
                Some((address, healthy)) if *address == endpoint.address => endpoint.healthy = *healthy,
                _ => {}
            }
            let id = endpoint.id.clone();
            let before = known.instances.insert(id.clone(), Instance { endpoint, lease: None });
            if let Some(lease) = before.and_then(|instance| instance.lease) {
                self.due.remove(&(lease.due, service.to_owned(), id));
            }
        }
        Ok(self.refresh(service))
    }

    /// Takes in an instance that must be heard of again within `ttl`, or renews and replaces what it said before.
    pub(crate) fn register(
        &mut self,
        service: &str,
        mut endpoint: Endpoint,
        ttl: Duration,
        now: Duration,
    ) -> Result<Change, Error> {
        check_service(service)?;
        check_endpoint(&endpoint, &self.limits)?;
        check_ttl(ttl)?;
        self.make_room(service)?;
        let id = endpoint.id.clone();
        let known = self.services.get(service);
        match known.and_then(|known| known.instances.get(&id)) {
            Some(Instance { lease: None, .. }) => {
                return Err(Error::Declared { service: service.to_owned(), id });
            }
            Some(Instance { endpoint: before, lease: Some(lease) }) => {
                if before.address == endpoint.address {
                    endpoint.healthy = before.healthy; // the prober's knowledge, not the instance's
                }
                self.due.remove(&(lease.due, service.to_owned(), id.clone()));
            }
            None if known.is_some_and(|known| known.instances.len() >= self.limits.instances_max) => {
                return Err(self.too_many(service));
            }
            None => {}
        }
        let due = now.saturating_add(ttl);
        self.due.insert((due, service.to_owned(), id.clone()));
        let lease = Some(Lease { ttl, due });
        entry(&mut self.services, service).instances.insert(id, Instance { endpoint, lease });
        Ok(self.refresh(service))
    }

    /// Renews the lease of an instance, and says how long it is.
    pub(crate) fn heartbeat(&mut self, service: &str, id: &str, now: Duration) -> Result<Duration, Error> {
        check_service(service)?;
        check_id(id)?;
        let instance = self.services.get_mut(service).and_then(|known| known.instances.get_mut(id));
        let unknown = || Error::Unknown { service: service.to_owned(), id: id.to_owned() };
        match &mut instance.ok_or_else(unknown)?.lease {
            None => Err(Error::Declared { service: service.to_owned(), id: id.to_owned() }),
            Some(lease) => {
                let mut key = (lease.due, service.to_owned(), id.to_owned());
                self.due.remove(&key);
                lease.due = now.saturating_add(lease.ttl);
                key.0 = lease.due;
                self.due.insert(key);
                Ok(lease.ttl)
            }
        }
    }

    /// Removes an instance that registered itself. One that is not there is as it should be.
    pub(crate) fn deregister(&mut self, service: &str, id: &str) -> Result<Change, Error> {
        check_service(service)?;
        check_id(id)?;
        let Some(known) = self.services.get_mut(service) else { return Ok(None) };
        match known.instances.get(id) {
            None => Ok(None),
            Some(Instance { lease: None, .. }) => {
                Err(Error::Declared { service: service.to_owned(), id: id.to_owned() })
            }
            Some(Instance { lease: Some(lease), .. }) => {
                self.due.remove(&(lease.due, service.to_owned(), id.to_owned()));
                known.instances.remove(id);
                Ok(self.refresh(service))
            }
        }
    }

    /// Records what a prober saw.
    pub(crate) fn set_health(&mut self, service: &str, id: &str, healthy: bool) -> Result<Change, Error> {
        let instance = self.services.get_mut(service).and_then(|known| known.instances.get_mut(id));
        let unknown = || Error::Unknown { service: service.to_owned(), id: id.to_owned() };
        instance.ok_or_else(unknown)?.endpoint.healthy = healthy;
        Ok(self.refresh(service))
    }

    /// Removes the instances whose time is over, and returns the services that changed.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Arc<EndpointSet>> {
        let mut touched = BTreeSet::new();
        while self.due.first().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, service, id)) = self.due.pop_first() else { break };
            if let Some(known) = self.services.get_mut(&service) {
                known.instances.remove(&id);
                tracing::info!(service, instance = id, "sent no heartbeat in time; removed");
            }
            touched.insert(service);
        }
        touched.iter().filter_map(|service| self.refresh(service)).collect()
    }

    /// Gives every instance the time of one heartbeat from `now`: the registry itself was stopped, and what they sent
    /// meanwhile may still wait in its sockets.
    pub(crate) fn forgive(&mut self, now: Duration) {
        self.due.clear();
        for (name, service) in &mut self.services {
            for (id, instance) in &mut service.instances {
                if let Some(lease) = &mut instance.lease {
                    lease.due = lease.due.max(now.saturating_add(lease.ttl / 3));
                    self.due.insert((lease.due, name.clone(), id.clone()));
                }
            }
        }
    }

    /// When the next instance expires unless it is heard of.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// Builds the set of `service` anew if it differs.
    fn refresh(&mut self, service: &str) -> Change {
        let known = self.services.get_mut(service)?;
        if known.instances.values().map(|instance| &instance.endpoint).eq(&known.set.endpoints) {
            return None;
        }
        self.version += 1;
        let endpoints = known.instances.values().map(|instance| instance.endpoint.clone()).collect();
        known.set = Arc::new(EndpointSet { service: service.to_owned(), version: self.version, endpoints });
        Some(known.set.clone())
    }

    /// Makes sure that `service` can be taken in. One without instances is kept for its version, until its room is
    /// needed: the one that has been empty for longest goes first.
    fn make_room(&mut self, service: &str) -> Result<(), Error> {
        if self.services.contains_key(service) || self.services.len() < self.limits.services_max {
            return Ok(());
        }
        let empty = self.services.iter().filter(|(_, known)| known.instances.is_empty());
        let oldest = empty.min_by_key(|(_, known)| known.set.version).map(|(name, _)| name.clone());
        match oldest {
            Some(name) => {
                self.services.remove(&name);
                Ok(())
            }
            None => Err(self.full()),
        }
    }

    fn full(&self) -> Error {
        Error::Full { what: "services".into(), limit: self.limits.services_max }
    }

    fn too_many(&self, service: &str) -> Error {
        Error::Full { what: format!("instances of `{service}`"), limit: self.limits.instances_max }
    }
}

fn entry<'a>(services: &'a mut BTreeMap<String, Service>, name: &str) -> &'a mut Service {
    services
        .entry(name.to_owned())
        .or_insert_with(|| Service { set: Arc::new(EndpointSet::empty(name)), instances: BTreeMap::new() })
}
