//! What replays have taught, as a value that is added up, written down and bounded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Places that are shared.
pub(super) const SHARED_MAX: usize = 250;
/// Bytes of a place's name that is shared.
pub(super) const NAME_MAX: usize = 200;
/// From so many replays on, all counts are halved: the old system is as it was lately, not as it was once.
pub(crate) const REPLAYS_MAX: u64 = 100_000;

/// What was learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Learnt {
    /// Which learning this is; another one after it was forgotten.
    pub(super) generation: u64,
    /// Reads that the old system was asked twice.
    pub(super) replays: u64,
    /// Answers of old and new that were compared.
    pub(super) compared: u64,
    pub(super) places: BTreeMap<String, Place>,
}

/// What was seen of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// How often old and old differed here.
    pub(super) replayed: u64,
    /// How often old and new did.
    pub(super) compared: u64,
}

impl Place {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { replayed: self.replayed + other.replayed, compared: self.compared + other.compared }
    }

    /// Without `other`, which is a part of it.
    fn without(self, other: Self) -> Self {
        Self {
            replayed: self.replayed.saturating_sub(other.replayed),
            compared: self.compared.saturating_sub(other.compared),
        }
    }
}

impl Learnt {
    /// Nothing: what follows once `stored`, a row of this version, is forgotten.
    pub(crate) fn after(stored: Option<&Self>, version: u64) -> Self {
        let generation = stored.map_or(0, |stored| stored.generation).max(version) + 1;
        Self { generation, ..Self::default() }
    }

    /// `stored` and this together within the bounds, and how much of this is in it; `None` where nothing would be.
    pub(super) fn added_to(&self, stored: &Self) -> Option<(Self, Self)> {
        if self.generation != stored.generation {
            return None;
        }
        let mut merged = stored.clone();
        merged.replays += self.replays;
        merged.compared += self.compared;
        for (name, place) in self.places.iter().filter(|(name, _)| name.len() <= NAME_MAX) {
            let sum = merged.places.get(name).copied().unwrap_or_default().and(*place);
            merged.places.insert(name.clone(), sum);
        }
        merged.keep_heaviest();
        let mut written = self.clone();
        written.places.retain(|name, _| merged.places.contains_key(name));
        let is_nothing = written.replays + written.compared == 0 && written.places.is_empty();
        if merged.replays > REPLAYS_MAX {
            merged.halve();
        }
        (!is_nothing).then_some((merged, written))
    }

    /// Without `written`, which is a part of it.
    pub(super) fn take_out(&mut self, written: &Self) {
        self.replays = self.replays.saturating_sub(written.replays);
        self.compared = self.compared.saturating_sub(written.compared);
        self.places.retain(|name, place| {
            *place = place.without(written.places.get(name).copied().unwrap_or_default());
            *place != Place::default()
        });
    }

    /// Leaves out the places that say least, where there are too many.
    fn keep_heaviest(&mut self) {
        let mut names: Vec<_> = self.places.iter().map(|(name, place)| (weight(*place), name)).collect();
        names.sort_by(|left, right| right.cmp(left));
        let light: BTreeSet<String> =
            names.into_iter().skip(SHARED_MAX).map(|(_, name)| name.clone()).collect();
        self.places.retain(|name, _| !light.contains(name));
    }

    fn halve(&mut self) {
        (self.replays, self.compared) = (self.replays / 2, self.compared / 2);
        self.places.retain(|_, place| {
            (place.replayed, place.compared) = (place.replayed / 2, place.compared / 2);
            *place != Place::default()
        });
    }
}

/// What is noise must be known; what only differs between old and new is worth less.
fn weight(place: Place) -> (u64, u64) {
    (place.replayed, place.compared)
}
