//! How a reader stands, for those who ask.

use std::collections::{BTreeMap, BTreeSet};

use dozen_store::{ClaimState, ClaimStatus, Entry, ReaderStatus};

use crate::reader::{Held, Reader};

impl Reader {
    fn open(&self) -> impl Iterator<Item = &ClaimStatus> {
        self.claims.values().map(|held| &held.status).filter(|status| status.state.is_open())
    }

    fn in_state(&self, state: ClaimState) -> impl Iterator<Item = &Held> {
        self.claims.values().filter(move |held| held.status.state == state)
    }

    /// Entries up to here are not needed by this reader.
    pub(crate) fn needs_after(&self) -> u64 {
        self.open().next().map_or(self.position, |first| (first.position - 1).min(self.position))
    }

    /// Whether it still needs this entry.
    pub(crate) fn needs(&self, position: u64) -> bool {
        position > self.position || self.open().any(|claim| claim.position == position)
    }

    pub(crate) fn forget(&mut self, position: u64) {
        self.claims.remove(&position);
    }

    pub(crate) fn claim_of(&self, position: u64) -> Option<ClaimStatus> {
        self.claims.get(&position).map(|held| held.status.clone())
    }

    /// Claims in one state, each with its entry as this reader has it.
    pub(crate) fn claims(
        &self,
        state: ClaimState,
        after: u64,
        limit: usize,
        entries: &BTreeMap<u64, Entry>,
    ) -> Vec<(ClaimStatus, Option<Entry>)> {
        let later = self.in_state(state).filter(|held| held.status.position > after);
        later
            .map(|held| {
                (held.status.clone(), entries.get(&held.status.position).map(|entry| held.view(entry)))
            })
            .take(limit)
            .collect()
    }

    pub(crate) fn status(&self, stream: &str, reader: &str, entries: &BTreeMap<u64, Entry>) -> ReaderStatus {
        let count = |state| self.in_state(state).count() as u64;
        let fresh = entries.range(self.position + 1..);
        let unfinished = self.open().find(|claim| claim.state != ClaimState::Parked);
        let oldest = unfinished
            .map(|claim| claim.position)
            .or_else(|| fresh.clone().next().map(|(position, _)| *position));
        let parked_keys: BTreeSet<&str> =
            self.in_state(ClaimState::Parked).filter_map(|held| held.status.key.as_deref()).collect();
        ReaderStatus {
            stream: stream.to_owned(),
            reader: reader.to_owned(),
            position: self.position,
            fresh: fresh.count() as u64,
            leased: count(ClaimState::Leased),
            waiting: count(ClaimState::Waiting),
            held: count(ClaimState::Held),
            parked: count(ClaimState::Parked),
            parked_keys: parked_keys.len() as u64,
            oldest: oldest.and_then(|position| entries.get(&position)).map(|entry| entry.at),
            paused: self.paused,
        }
    }
}
