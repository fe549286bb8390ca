//! From the sets that discovery writes to the roster that is chosen from.
//!
//! A registry that restarts, or loses its connection, may give a set that is empty or nearly so, while all instances are
//! up. With `endpoints-min`, such a set is not believed for a while: the last larger one stays in use, and the view tells.
//! It was right a moment ago, and a wrong address costs a failed connection; believing the set would cost everything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dozen_core::EndpointSet;
use tokio::sync::watch;

use super::endpoint::EndpointState;
use super::health::{Health, Standing};
use super::ring::Ring;
use super::roster::{Member, Roster};
use super::shared::Shared;
use super::{ServicePolicy, Strategy};
use crate::moment::Moment;
use crate::resilience::Ewma;

/// Addresses that left the set with a record, and are remembered.
const GONE_MAX: usize = 64;

/// What a service's watcher has seen, and what is remembered of addresses that are not in use.
#[derive(Debug)]
pub(super) struct Source {
    watching: watch::Receiver<Arc<EndpointSet>>,
    gone: Vec<Arc<EndpointState>>,
    /// The set in use.
    pub(super) used: Arc<EndpointSet>,
    /// Since when smaller ones are offered.
    short_since: Option<Moment>,
    has_begun: bool,
}

impl Source {
    pub(super) fn new(watching: watch::Receiver<Arc<EndpointSet>>) -> Self {
        Self { watching, gone: Vec::new(), used: Arc::default(), short_since: None, has_begun: false }
    }

    /// Follows nobody from now on: the set of this moment is the last.
    pub(super) fn part(&mut self) {
        let last = self.watching.borrow().clone();
        self.watching = watch::channel(last).1;
    }

    /// The roster of the newest set, with what is known of its endpoints.
    pub(super) fn next(
        &mut self,
        old: Option<&Roster>,
        policy: Arc<ServicePolicy>,
        now: Moment,
        service: &Arc<Shared>,
    ) -> Roster {
        // Asked before the set is read: what is written in between is read now, or told of later.
        let is_last = self.watching.has_changed().is_err();
        let offered = self.watching.borrow_and_update().clone();
        let kept_until = self.believe(offered, &policy, now);
        let old_members = old.map_or(&[][..], |old| &old.members);
        let guess = average(old_members, now);

        let by_address = |state: &Arc<EndpointState>| (state.address.clone(), state.clone());
        let mut in_use: HashMap<_, _> = old_members.iter().map(|member| by_address(&member.state)).collect();
        let mut gone: HashMap<_, _> = self.gone.iter().map(by_address).collect();
        let mut seen = HashSet::new();
        let mut members = Vec::new();
        for endpoint in self.used.healthy().filter(|endpoint| seen.insert(&*endpoint.address)) {
            let mut known = in_use.remove(&*endpoint.address);
            // The same address under another name is another endpoint: it shows another certificate.
            if let Some(renamed) = known.take_if(|state| !state.is_at(endpoint)) {
                renamed.set_in_use(false);
            }
            let state = known.unwrap_or_else(|| {
                let known = gone.remove(&*endpoint.address).filter(|state| state.is_at(endpoint));
                let new = || EndpointState::new(endpoint, service.clone(), Ewma::guess(now, guess));
                let state = known.unwrap_or_else(|| Arc::new(new()));
                state.set_in_use(true);
                // Those of the very first set are not new, only this process is.
                if self.has_begun {
                    state.warm_from(now);
                }
                state
            });
            if policy.health.is_none() && state.standing().health != Health::Unknown {
                state.set_standing(Standing::default());
            }
            members.push((state, endpoint.weight));
        }
        self.has_begun |= !members.is_empty();
        in_use.values().for_each(|left| left.set_in_use(false));
        // An address that fails, leaves and comes back at once must not come back spotless.
        let left = in_use.into_values().chain(gone.into_values());
        let worth =
            |state: &Arc<EndpointState>| state.is_ill() || !state.record.is_spotless(now, &policy.ejection);
        self.gone = left.filter(worth).take(GONE_MAX).collect();

        let ring = (policy.strategy == Strategy::ConsistentHash).then(|| {
            let owners: Vec<_> =
                members.iter().map(|(state, weight)| (state.address.clone(), *weight)).collect();
            let known = old.and_then(|old| old.ring.clone()).filter(|ring| ring.is_of(&owners));
            known.unwrap_or_else(|| Arc::new(Ring::new(owners)))
        });
        let mut roster = Roster::new(policy, members, self.watching.clone(), is_last);
        roster.ring = ring;
        roster.is_known = !self.used.endpoints.is_empty();
        roster.kept_until = kept_until;
        roster.take_census(now);
        roster
    }

    /// Uses the set that is offered, unless it is one to wait with; tells until when.
    fn believe(&mut self, offered: Arc<EndpointSet>, policy: &ServicePolicy, now: Moment) -> Option<Moment> {
        let is_short = |set: &EndpointSet| set.endpoints.len() < policy.endpoints_min as usize;
        if is_short(&offered) && !is_short(&self.used) {
            let until = self.short_since.get_or_insert(now).after(policy.keep_last);
            if now < until {
                return Some(until);
            }
        }
        self.used = offered;
        self.short_since = None;
        None
    }
}

/// The average of the latencies, where any is known.
fn average(members: &[Member], now: Moment) -> Option<f32> {
    let sum: f32 = members.iter().map(|member| member.state.latency.micros(now)).sum();
    (!members.is_empty()).then(|| sum / members.len() as f32)
}
