//! Which endpoint a request gets.
//!
//! An endpoint is usable unless its probes say that it is ill, which is believed, even of all of them; or it is ejected,
//! which is a guess. When more than half of those that are well are ejected, the fault is likely elsewhere, and all of
//! them are used: the panic rule. What a choice would like to have besides is given up one by one, before it finds
//! nothing: that endpoints which warm up sit out most turns; that those to avoid are avoided; that no ejection is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::endpoint::EndpointState;
use super::ring::mix;
use super::roster::{Member, Roster};
use super::{Strategy, Unavailable, Want};
use crate::moment::Moment;

/// Sets up to this size are looked at whole.
const SCAN_MAX: usize = 4;
/// Draws for one of two choices, before the next best is taken.
const DRAWS_MAX: usize = 8;
/// Points of the ring that are tried, before the set is looked through in its own order.
const WALK_MAX: usize = 256;

/// One choice.
struct Choice<'c> {
    roster: &'c Roster,
    want: &'c Want<'c>,
    now: Moment,
    /// Requests in flight to the service.
    in_flight: u32,
    /// Where the search begins.
    start: usize,
    is_panic: bool,
    /// Weights of those that can be used.
    weights: u64,
}

/// What is asked of an endpoint, strictest first.
const DEMANDS: [Demand; 4] = [Demand::Warm, Demand::Fresh, Demand::Usable, Demand::Well];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    Well,
    Usable,
    Fresh,
    Warm,
}

impl Roster {
    /// The endpoint for a request.
    pub(super) fn choose(
        &self,
        want: &Want<'_>,
        now: Moment,
        turn: &AtomicU64,
        in_flight: u32,
    ) -> Result<&Arc<EndpointState>, Unavailable> {
        let count = self.members.len();
        if count == 0 {
            return Err(if self.is_known { Unavailable::NoneHealthy } else { Unavailable::NoneKnown });
        }
        let (is_panic, weights) = self.usable(now);
        let start = match self.policy.strategy {
            Strategy::RoundRobin => self.whose_turn(turn.fetch_add(1, Ordering::Relaxed)),
            _ => index(want.random, count),
        };
        let choice = Choice { roster: self, want, now, in_flight, start, is_panic, weights };
        let chosen = DEMANDS.iter().find_map(|demand| choice.make(*demand));
        chosen.map(|at| &self.members[at].state).ok_or(Unavailable::NoneHealthy)
    }
}

impl Choice<'_> {
    fn meets(&self, at: usize, demand: Demand) -> bool {
        let state = &self.roster.members[at].state;
        !state.is_ill()
            && (demand < Demand::Usable || self.is_panic || !state.record.is_ejected(self.now))
            && (demand < Demand::Fresh || !self.want.avoid.contains(&state.id))
            && (demand < Demand::Warm || self.takes_part(state))
    }

    /// An endpoint that warms up sits out turns: those of a key always the same ones, so that keys move once.
    fn takes_part(&self, state: &EndpointState) -> bool {
        let share = self.share(state);
        let dice =
            || (mix(self.want.key.unwrap_or(self.want.random) ^ state.id) >> 40) as f32 / (1 << 24) as f32;
        share >= 1.0 || dice() < share
    }

    fn share(&self, state: &EndpointState) -> f32 {
        state.share(self.now, self.roster.policy.slow_start)
    }

    fn make(&self, demand: Demand) -> Option<usize> {
        let roster = self.roster;
        let fits = |at: &usize| self.meets(*at, demand);
        let least = |one: &usize, other: &usize| self.cost(*one).total_cmp(&self.cost(*other));
        match (roster.policy.strategy, self.want.key, &roster.ring) {
            (Strategy::ConsistentHash, Some(key), Some(ring)) => {
                let has_room = |at: &usize| fits(at) && self.has_room(*at);
                let on_ring = ring.walk(key).take(WALK_MAX).find(has_room);
                on_ring
                    .or_else(|| roster.around(self.start).find(has_room))
                    .or_else(|| ring.walk(key).take(WALK_MAX).find(fits))
                    .or_else(|| roster.around(self.start).find(fits))
            }
            (Strategy::RoundRobin, ..) => roster.around(self.start).find(fits),
            _ if roster.members.len() <= SCAN_MAX => roster.around(self.start).filter(fits).min_by(least),
            _ => {
                let mut random = self.want.random;
                let mut draw = || {
                    random = mix(random);
                    index(random, roster.members.len())
                };
                let one = std::iter::repeat_with(&mut draw).take(DRAWS_MAX).find(fits);
                let other =
                    std::iter::repeat_with(&mut draw).take(DRAWS_MAX).find(|at| Some(*at) != one && fits(at));
                let better = one.into_iter().chain(other).min_by(least);
                better.or_else(|| roster.around(self.start).find(fits))
            }
        }
    }

    /// How long one more request there would have to wait, relative to the others. What is in flight counts more while an
    /// endpoint warms up; one that is idle is as good as any, because its turns are rare enough.
    fn cost(&self, at: usize) -> f32 {
        let Member { state, weight, .. } = &self.roster.members[at];
        let latency = match self.roster.policy.strategy {
            Strategy::PeakEwma => state.latency.micros(self.now),
            _ => 1.0,
        };
        (state.in_flight() as f32 / self.share(state) + 1.0) * latency / *weight as f32
    }

    /// Whether one more request stays within the bound: so many percent of the fair share, rounded up.
    fn has_room(&self, at: usize) -> bool {
        let Member { state, weight, .. } = &self.roster.members[at];
        let all = (u64::from(self.in_flight) + 1) * u64::from(*weight);
        let most = all * u64::from(self.roster.policy.hash_load_max_percent);
        u64::from(state.in_flight()) < most.div_ceil(100 * self.weights.max(1))
    }
}

/// A random number as an index below `count`.
fn index(random: u64, count: usize) -> usize {
    (((random >> 32) * count as u64) >> 32) as usize
}
