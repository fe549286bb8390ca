//! What the old system is unsure of itself.
//!
//! ```text
//!  a compared read, sent to the old system twice ─► learn ─► own ──┐ every few seconds, added to
//!                                                                  ▼
//!  old and new answer ─► judge by shared + own       shared ◄── what all gateways know, in the store
//! ```
//!
//! A place that differs between two answers of the *old* system to the same question (a time, a random id, an order that is
//! left open) says nothing about the new one. So a small share of the compared reads is sent to the old system twice, and for
//! each place it is counted how often its own answers differ. A place whose rate of that (its Beta estimate) is above the floor
//! is noise; it counts again only when old and new differ there more often than old and old, by more than chance.
//!
//! What one gateway learns, all know a few seconds later, and a gateway that starts knows it before its first comparison. What
//! is learnt is only ever added up, so it does not matter who adds first; what was learnt long ago weighs less and less. When
//! it is forgotten, by an order of a person, what others have learnt before they hear of it is forgotten with it.
//!
//! Bounded: so many places, and one more for all others; fewer are shared, the noisiest.

mod learnt;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::compare::Compared;
use crate::gate::Rate;
use crate::options::NoiseOptions;

use learnt::Place;
pub(crate) use learnt::{Learnt, REPLAYS_MAX};

/// Places that are told apart.
const PLACES_MAX: usize = 1_000;
/// What all others are called together.
const OTHERS: &str = "_other";
/// How sure it must be that a noisy place differs by more than noise.
const ALPHA: f64 = 0.01;
/// Once is chance: data may have changed between the two questions.
const TIMES_MIN: u64 = 2;

/// What a comparison counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Equal, as far as the old system is sure of itself.
    Same,
    /// Different.
    Differs,
    /// Neither.
    Nothing,
}

/// What is known of the noise of one feature.
#[derive(Debug, Default)]
pub struct Noise {
    /// Of `known`, for those who only ask whether it is enough.
    replays: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the store said last.
    shared: Learnt,
    /// What was learnt here and is not in it.
    own: Learnt,
}

/// A place and how noisy it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noisy {
    /// Where.
    pub place: String,
    /// How often two answers of the old system differed there.
    pub noise: Rate,
    /// How often an old and a new answer did.
    pub differing: Rate,
}

impl Noise {
    /// Whether so little is known that comparisons do not count yet.
    pub fn is_learning(&self, options: &NoiseOptions) -> bool {
        options.replay_old > crate::Share::NONE && self.replays() < u64::from(options.samples)
    }

    /// How many replays have taught what is known.
    pub fn replays(&self) -> u64 {
        self.replays.load(Ordering::Relaxed)
    }

    /// Takes in how two answers of the old system compare.
    pub fn learn(&self, replayed: &Compared) {
        let places = match replayed {
            Compared::Incomparable(_) => return,
            Compared::Same => None,
            Compared::Different(differences) => differences.places.as_ref(),
        };
        // Under the lock, so that nobody sees a place differ more often than there were replays.
        let mut known = self.known();
        known.own.replays += 1;
        self.replays.store(known.replays(), Ordering::Relaxed);
        places.into_iter().flatten().for_each(|place| known.place(place).replayed += 1);
    }

    /// What the comparison of an old and a new answer counts for.
    pub fn judge(&self, compared: &Compared, options: &NoiseOptions) -> Counted {
        if self.is_learning(options) {
            return Counted::Nothing;
        }
        let differences = match compared {
            Compared::Incomparable(_) => return Counted::Nothing,
            Compared::Same => None,
            Compared::Different(differences) => Some(differences),
        };
        let mut known = self.known();
        known.own.compared += 1;
        let Some(differences) = differences else { return Counted::Same };
        // Too many places to tell apart are more than noise.
        let Some(places) = &differences.places else { return Counted::Differs };
        places.iter().for_each(|place| known.place(place).compared += 1);
        let floor = options.floor.fraction();
        match places.iter().all(|place| known.is_noise(place, floor)) {
            true => Counted::Same,
            false => Counted::Differs,
        }
    }

    /// The places where the old system has differed from itself, the noisiest first.
    pub fn places(&self) -> Vec<Noisy> {
        let known = self.known();
        let all = known.shared.places.keys().chain(known.own.places.keys());
        let mut names: Vec<&String> = all.filter(|place| known.seen(place).replayed > 0).collect();
        names.sort_by_key(|place| (std::cmp::Reverse(known.seen(place).replayed), *place));
        names.dedup();
        let describe = |place: &String| {
            let seen = known.seen(place);
            let (noise, differing) =
                (Rate::new(seen.replayed, known.replays()), Rate::new(seen.compared, known.compared()));
            Noisy { place: place.clone(), noise, differing }
        };
        names.into_iter().map(describe).collect()
    }

    /// What the store would say if what was learnt here were added to what it says, and how much of that is added. `None` where
    /// there is nothing to add.
    pub(crate) fn merged(&self, stored: &Learnt) -> Option<(Learnt, Learnt)> {
        self.known().own.added_to(stored)
    }

    /// Takes over what the store says, in which is `written` of what was learnt here.
    pub(crate) fn follow(&self, stored: Learnt, written: &Learnt) {
        let mut known = self.known();
        known.own.take_out(written);
        if known.own.generation != stored.generation {
            known.own = Learnt { generation: stored.generation, ..Learnt::default() };
        }
        known.shared = stored;
        self.replays.store(known.replays(), Ordering::Relaxed);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn replays(&self) -> u64 {
        self.shared.replays + self.own.replays
    }

    fn compared(&self) -> u64 {
        self.shared.compared + self.own.compared
    }

    /// What was seen of a place.
    fn seen(&self, place: &str) -> Place {
        let of = |learnt: &Learnt| learnt.places.get(place).copied().unwrap_or_default();
        of(&self.shared).and(of(&self.own))
    }

    /// Where a place is counted.
    fn place(&mut self, place: &str) -> &mut Place {
        let is_known = [&self.own, &self.shared].iter().any(|learnt| learnt.places.contains_key(place));
        let is_full = self.own.places.len() + self.shared.places.len() >= PLACES_MAX;
        let name = if !is_known && is_full { OTHERS } else { place };
        self.own.places.entry(name.to_owned()).or_default()
    }

    fn is_noise(&self, place: &str, floor: f64) -> bool {
        let (own, others) = (self.seen(place), self.seen(OTHERS));
        let seen = if own == Place::default() { others } else { own };
        let replays = self.replays();
        // The mean of a Beta distribution that begins with half a hit and half a miss.
        let estimate = (seen.replayed as f64 + 0.5) / (replays as f64 + 1.0);
        if seen.replayed < TIMES_MIN || estimate < floor {
            return false;
        }
        let noise = Rate::new(seen.replayed, replays).interval(ALPHA, floor).1;
        let differing = Rate::new(seen.compared, self.compared()).interval(ALPHA, floor).0;
        differing <= noise
    }
}

#[cfg(test)]
mod tests;
