//! One reader: its high-water mark, and a claim for everything that it has looked at and not forgotten.

mod claim;

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_store::{
    ClaimState, ClaimStatus, Ended, Entry, Extend, Failure, Outcome, Place, Record, Revise, Revision, Settle,
};

#[derive(Clone, Default)]
pub(crate) struct Reader {
    pub(crate) position: u64,
    pub(crate) paused: bool,
    pub(crate) claims: BTreeMap<u64, Held>,
}

/// A claim.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) status: ClaimStatus,
    fence: u64,
    /// The moment that its sender chose.
    delay: Option<Timestamp>,
    /// What this reader has in the place of the entry's content.
    edit: Option<Record>,
}

impl Reader {
    pub(crate) fn at(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    pub(crate) fn seek(&mut self, position: u64) {
        self.claims.retain(|at, held| !held.status.state.is_open() && *at <= position);
        self.position = position;
    }

    /// The unfinished claims under a key.
    fn of_key(&self, key: &str) -> impl Iterator<Item = &Held> {
        let open = self.claims.values().filter(|held| held.status.state.is_open());
        open.filter(move |held| held.status.key.as_deref() == Some(key))
    }

    pub(crate) fn settle(&mut self, settle: &Settle) -> Outcome {
        let mut settled = Vec::with_capacity(settle.ends.len());
        for (place, ended) in &settle.ends {
            let Some(held) = self.leased(place) else {
                settled.push(false);
                continue;
            };
            settled.push(true);
            let (state, due, error) = match ended {
                Ended::Done => (ClaimState::Done, None, None),
                Ended::Dropped(reason) => (ClaimState::Dropped, None, Some(reason)),
                Ended::Retry { at, error } => (ClaimState::Waiting, Some(*at), Some(error)),
                Ended::Parked(error) => (ClaimState::Parked, None, Some(error)),
            };
            held.status.state = state;
            held.status.due = due;
            held.status.ended = due.is_none().then_some(settle.now);
            if let Some(error) = error {
                Failure::remember(&mut held.status.errors, held.status.claimed, settle.now, error);
            }
            let key = held.status.key.clone();
            if !state.is_open() {
                self.release_next(key.as_deref(), settle.now);
            }
        }
        Outcome::Settled(settled)
    }

    pub(crate) fn extend(&mut self, extend: &Extend) -> Outcome {
        let kept = extend.places.iter().map(|place| match self.leased(place) {
            Some(held) => {
                held.status.due = Some(extend.until);
                true
            }
            None => false,
        });
        Outcome::Settled(kept.collect())
    }

    pub(crate) fn revise(&mut self, revise: &Revise) -> Outcome {
        let parked: Vec<u64> = self
            .claims
            .values()
            .filter(|held| held.status.state == ClaimState::Parked)
            .map(|held| held.status.position)
            .filter(|position| revise.positions.is_empty() || revise.positions.contains(position))
            .take(revise.limit)
            .collect();
        for position in &parked {
            let Some(held) = self.claims.get_mut(position) else { continue };
            match &revise.revision {
                Revision::Redrive => {
                    held.status.state = ClaimState::Waiting;
                    held.status.attempts = 0;
                    held.status.due = Some(revise.now);
                    held.status.ended = None;
                }
                Revision::Discard => {
                    held.status.state = ClaimState::Dropped;
                    held.status.ended = Some(revise.now);
                    let key = held.status.key.clone();
                    self.release_next(key.as_deref(), revise.now);
                }
                Revision::Edit(record) => {
                    held.status.edited = true;
                    held.edit = Some(record.clone());
                }
            }
        }
        Outcome::Touched(parked.len() as u64)
    }

    /// Lets the first held message of a key go, unless a dead letter of the key remains; not before its own moment.
    fn release_next(&mut self, key: Option<&str>, now: Timestamp) {
        let Some(key) = key else { return };
        if self.of_key(key).any(|held| held.status.state == ClaimState::Parked) {
            return;
        }
        let first = self.of_key(key).find(|held| held.status.state == ClaimState::Held);
        let first = first.map(|held| held.status.position);
        if let Some(held) = first.and_then(|position| self.claims.get_mut(&position)) {
            held.status.state = ClaimState::Waiting;
            held.status.due = Some(now.max(held.delay.unwrap_or(now)));
        }
    }

    fn leased(&mut self, place: &Place) -> Option<&mut Held> {
        let held = self.claims.get_mut(&place.position)?;
        (held.status.state == ClaimState::Leased && held.fence == place.fence).then_some(held)
    }
}

impl Held {
    /// The entry as this reader has it.
    pub(crate) fn view(&self, entry: &Entry) -> Entry {
        let mut entry = entry.clone();
        if let Some(edit) = &self.edit {
            entry.record.kind.clone_from(&edit.kind);
            entry.record.attributes.clone_from(&edit.attributes);
            entry.record.data = edit.data.clone();
        }
        entry
    }
}
