//! What the old system is unsure of itself.
//!
//! A place that differs between two answers of the *old* system to the same question (a time, a random id, an order that is
//! left open) says nothing about the new one. So a small share of the compared reads is sent to the old system twice, and for
//! each place it is counted how often its own answers differ. A place whose rate of that (its Beta estimate) is above the floor
//! is noise; it counts again only when old and new differ there more often than old and old, by more than chance.
//!
//! Bounded: so many places, and one more for all others. Each gateway learns by itself and anew after a start, within its first
//! comparisons.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::compare::Compared;
use crate::gate::Rate;
use crate::options::NoiseOptions;

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
    replays: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    compared: u64,
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// How often old and old differed here.
    replayed: u64,
    /// How often old and new did.
    compared: u64,
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
        options.replay_old > crate::Share::NONE
            && self.replays.load(Ordering::Relaxed) < u64::from(options.samples)
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
        self.replays.fetch_add(1, Ordering::Relaxed);
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
        known.compared += 1;
        let Some(differences) = differences else { return Counted::Same };
        // Too many places to tell apart are more than noise.
        let Some(places) = &differences.places else { return Counted::Differs };
        places.iter().for_each(|place| known.place(place).compared += 1);
        let replays = self.replays.load(Ordering::Relaxed);
        let floor = options.floor.fraction();
        match places.iter().all(|place| known.is_noise(place, replays, floor)) {
            true => Counted::Same,
            false => Counted::Differs,
        }
    }

    /// The places where the old system has differed from itself, by name.
    pub fn places(&self) -> Vec<Noisy> {
        let known = self.known();
        let replays = self.replays.load(Ordering::Relaxed);
        let noisy = known.places.iter().filter(|(_, seen)| seen.replayed > 0);
        let describe = |(place, seen): (&String, &Place)| Noisy {
            place: place.clone(),
            noise: Rate::new(seen.replayed, replays),
            differing: Rate::new(seen.compared, known.compared),
        };
        noisy.map(describe).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn place(&mut self, place: &str) -> &mut Place {
        let is_new = !self.places.contains_key(place);
        let name = if is_new && self.places.len() >= PLACES_MAX { OTHERS } else { place };
        self.places.entry(name.to_owned()).or_default()
    }

    fn is_noise(&self, place: &str, replays: u64, floor: f64) -> bool {
        let Some(seen) = self.places.get(place).or_else(|| self.places.get(OTHERS)) else { return false };
        // The mean of a Beta distribution that begins with half a hit and half a miss.
        let estimate = (seen.replayed as f64 + 0.5) / (replays as f64 + 1.0);
        if seen.replayed < TIMES_MIN || estimate < floor {
            return false;
        }
        let noise = Rate::new(seen.replayed, replays).interval(ALPHA, floor).1;
        let differing = Rate::new(seen.compared, self.compared).interval(ALPHA, floor).0;
        differing <= noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Share;
    use crate::compare::Differences;

    fn differing(places: &[&str]) -> Compared {
        let places = places.iter().map(|place| (*place).to_owned()).collect();
        Compared::Different(Differences { places: Some(places), ..Differences::default() })
    }

    #[test]
    fn what_the_old_system_is_unsure_of_does_not_count() {
        let (noise, options) = (Noise::default(), NoiseOptions::default());
        assert_eq!(noise.judge(&Compared::Same, &options), Counted::Nothing, "not before it is known");
        for at in 0..100 {
            noise.learn(&if at % 4 == 0 { differing(&["$.id"]) } else { Compared::Same });
        }
        assert_eq!(noise.judge(&differing(&["$.id"]), &options), Counted::Same);
        assert_eq!(noise.judge(&differing(&["$.total"]), &options), Counted::Differs);
        assert_eq!(noise.judge(&differing(&["$.id", "$.total"]), &options), Counted::Differs);
        assert_eq!(noise.judge(&Compared::Incomparable("x".into()), &options), Counted::Nothing);
    }

    #[test]
    fn a_noisy_place_counts_when_it_differs_by_more_than_its_noise() {
        let (noise, options) = (Noise::default(), NoiseOptions::default());
        for at in 0..200 {
            noise.learn(&if at % 20 == 0 { differing(&["$.rank"]) } else { Compared::Same });
        }
        let counted: Vec<Counted> = (0..60).map(|_| noise.judge(&differing(&["$.rank"]), &options)).collect();
        assert_eq!(
            counted.last(),
            Some(&Counted::Differs),
            "it always differs now, and did one time in twenty"
        );
        let quiet = Noise::default();
        for at in 0..200 {
            quiet.learn(&if at % 20 == 0 { differing(&["$.rank"]) } else { Compared::Same });
            let compared = if at % 20 == 3 { differing(&["$.rank"]) } else { Compared::Same };
            assert_ne!(
                quiet.judge(&compared, &NoiseOptions { samples: 0, ..options.clone() }),
                Counted::Differs,
                "{at}"
            );
            if at == 0 {
                quiet.learn(&differing(&["$.rank"]));
            }
        }
    }

    #[test]
    fn places_are_bounded() {
        let (noise, options) = (Noise::default(), NoiseOptions { samples: 0, ..NoiseOptions::default() });
        for at in 0..PLACES_MAX + 500 {
            noise.judge(&differing(&[&format!("$.p{at}")]), &options);
        }
        assert_eq!(noise.known().places.len(), PLACES_MAX + 1);
    }

    #[test]
    fn without_replays_nothing_is_noise() {
        let options = NoiseOptions { replay_old: Share::NONE, ..NoiseOptions::default() };
        assert_eq!(Noise::default().judge(&differing(&["$.id"]), &options), Counted::Differs);
    }
}
