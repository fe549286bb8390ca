//! The endpoints that can be chosen from at one moment: never changed, only replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dozen_core::EndpointSet;
use tokio::sync::watch;

use super::ServicePolicy;
use super::endpoint::EndpointState;
use super::ring::Ring;
use crate::moment::Moment;

/// How often the set is counted while something is wrong with it.
const CENSUS_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Member {
    pub(super) state: Arc<EndpointState>,
    pub(super) weight: u32,
    /// The weights of all up to this one.
    upto: u64,
}

#[derive(Debug)]
pub(super) struct Roster {
    pub(super) policy: Arc<ServicePolicy>,
    pub(super) members: Vec<Member>,
    pub(super) ring: Option<Arc<Ring>>,
    /// Whether the set had any endpoint, healthy or not.
    pub(super) is_known: bool,
    /// Until when the set is one that the registry no longer gives.
    pub(super) kept_until: Option<Moment>,
    /// Tells of a newer set, without a lock.
    watching: watch::Receiver<Arc<EndpointSet>>,
    /// Whether no newer set can come.
    is_last: bool,
    census: Census,
}

/// What a set is made of; counted when something happens to it and, while anything is wrong, now and then.
#[derive(Debug, Default)]
struct Census {
    is_troubled: AtomicBool,
    is_panic: AtomicBool,
    weights: AtomicU64,
    due: AtomicU64,
}

impl Roster {
    pub(super) fn new(
        policy: Arc<ServicePolicy>,
        members: Vec<(Arc<EndpointState>, u32)>,
        watching: watch::Receiver<Arc<EndpointSet>>,
        is_last: bool,
    ) -> Self {
        let mut upto = 0;
        let member = |(state, weight)| {
            upto += u64::from(weight);
            Member { state, weight, upto }
        };
        let members = members.into_iter().map(member).collect();
        let census = Census::default();
        Self { policy, members, ring: None, is_known: false, kept_until: None, watching, is_last, census }
    }

    /// Whether it is time for another one.
    pub(super) fn is_stale(&self, now: impl FnOnce() -> Moment) -> bool {
        // A sender that has gone is an error here; then there is one last look at what it wrote.
        self.watching.has_changed().unwrap_or(!self.is_last)
            || self.kept_until.is_some_and(|end| end <= now())
    }

    /// Whether ejections are not looked at.
    pub(super) fn is_panic(&self) -> bool {
        self.census.is_panic.load(Ordering::Relaxed)
    }

    /// Whether ejections are not looked at, and the weights of those that can be used.
    pub(super) fn usable(&self, now: Moment) -> (bool, u64) {
        if !self.census.is_troubled.load(Ordering::Relaxed) {
            return (false, self.weights());
        }
        if now.0 >= self.census.due.load(Ordering::Relaxed) {
            self.take_census(now);
        }
        (self.is_panic(), self.census.weights.load(Ordering::Relaxed))
    }

    fn weights(&self) -> u64 {
        self.members.last().map_or(0, |member| member.upto)
    }

    /// Counts who can be used. To be called when an endpoint's state has changed.
    pub(super) fn take_census(&self, now: Moment) {
        let (mut well, mut ejected, mut weights, mut ejected_weights) = (0, 0, 0, 0);
        for member in self.members.iter().filter(|member| !member.state.is_ill()) {
            well += 1;
            weights += u64::from(member.weight);
            if member.state.record.is_ejected(now) {
                ejected += 1;
                ejected_weights += u64::from(member.weight);
            }
        }
        let is_panic = ejected * 2 > well;
        let usable = if is_panic { weights } else { weights - ejected_weights };
        self.census.is_panic.store(is_panic, Ordering::Relaxed);
        self.census.weights.store(usable, Ordering::Relaxed);
        self.census.due.store(now.after(CENSUS_EVERY).0, Ordering::Relaxed);
        self.census.is_troubled.store(well < self.members.len() || ejected > 0, Ordering::Relaxed);
    }

    /// Whether one more may be ejected without leaving less than half.
    pub(super) fn can_spare_one(&self, now: Moment) -> bool {
        let well = self.members.iter().filter(|member| !member.state.is_ill());
        let ejected = well.clone().filter(|member| member.state.record.is_ejected(now)).count();
        (ejected + 1) * 2 <= well.count()
    }

    /// The endpoint whose turn it is: each has as many turns in a round as its weight.
    pub(super) fn whose_turn(&self, turn: u64) -> usize {
        let at = turn % self.weights().max(1);
        self.members.partition_point(|member| member.upto <= at)
    }

    /// All of them, once, from `start` on.
    pub(super) fn around(&self, start: usize) -> impl Iterator<Item = usize> {
        let count = self.members.len();
        (0..count).map(move |step| (start + step) % count)
    }
}
