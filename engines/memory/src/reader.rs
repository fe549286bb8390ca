//! One reader: its high-water mark, and a claim for everything that it has looked at and not forgotten.

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_store::{
    Claim, ClaimState, ClaimStatus, Claimed, Ended, Entry, Extend, Failure, Outcome, Place, ReaderStatus,
    Revise, Revision, Settle,
};

/// What is remembered of an attempt whose worker was not heard of again.
const LEASE_ENDED: &str = "its lease ended before it was settled";

#[derive(Clone, Default)]
pub(crate) struct Reader {
    position: u64,
    claims: BTreeMap<u64, Held>,
}

#[derive(Clone)]
struct Held {
    status: ClaimStatus,
    fence: u64,
    /// The moment that its sender chose.
    delay: Option<Timestamp>,
}

impl Reader {
    pub(crate) fn at(position: u64) -> Self {
        Self { position, claims: BTreeMap::new() }
    }

    pub(crate) fn seek(&mut self, position: u64) {
        self.claims.retain(|at, held| !held.status.state.is_open() && *at <= position);
        self.position = position;
    }

    pub(crate) fn claim(
        &mut self,
        claim: &Claim,
        entries: &BTreeMap<u64, Entry>,
        fence: &mut u64,
    ) -> Outcome {
        self.follow_clock(claim.now);
        let until = claim.now.after(claim.lease);
        let mut claims = Vec::new();
        let mut due: Vec<(Timestamp, u64)> = self
            .claims
            .iter()
            .filter_map(|(position, held)| held.status.due.map(|due| (due, *position)))
            .filter(|(due, _)| *due <= claim.now)
            .collect();
        due.sort_unstable();
        for (_, position) in due.into_iter().take(claim.limit) {
            let (Some(held), Some(entry)) = (self.claims.get_mut(&position), entries.get(&position)) else {
                continue;
            };
            if held.status.state == ClaimState::Leased {
                Failure::remember(&mut held.status.errors, held.status.claimed, claim.now, LEASE_ENDED);
            }
            *fence += 1;
            held.fence = *fence;
            held.status.state = ClaimState::Leased;
            held.status.attempts += 1;
            held.status.due = Some(until);
            held.status.claimed = Some(claim.now);
            claims.push(claimed(entry, held, until));
        }
        let mut scanned = 0;
        for (position, entry) in entries.range(self.position + 1..).take(Claim::SCAN_MAX) {
            if claims.len() >= claim.limit {
                break;
            }
            self.position = *position;
            scanned += 1;
            let behind = entry.record.key.as_ref().is_some_and(|key| {
                self.claims
                    .values()
                    .any(|held| held.status.state.is_open() && held.status.key.as_ref() == Some(key))
            });
            let delayed = entry.due.filter(|due| *due > claim.now);
            let (state, due) = match delayed {
                _ if behind => (ClaimState::Held, None),
                Some(due) => (ClaimState::Waiting, Some(due)),
                None => (ClaimState::Leased, Some(until)),
            };
            let leased = state == ClaimState::Leased;
            *fence += u64::from(leased);
            let held = Held {
                status: ClaimStatus {
                    position: *position,
                    state,
                    attempts: u32::from(leased),
                    due,
                    claimed: leased.then_some(claim.now),
                    ended: None,
                    key: entry.record.key.clone(),
                    errors: Vec::new(),
                },
                fence: *fence,
                delay: entry.due,
            };
            if leased {
                claims.push(claimed(entry, &held, until));
            }
            self.claims.insert(*position, held);
        }
        let again = claims.is_empty() && scanned == Claim::SCAN_MAX;
        let next = self.claims.values().filter_map(|held| held.status.due).min();
        let next_due = if again { Some(claim.now) } else { next.filter(|_| claims.is_empty()) };
        Outcome::Claimed { claims, next_due }
    }

    /// After the clock was set back, what was leased, put off or let go before is measured by the clock as it is now, or
    /// it would wait until that has caught up. A moment that a sender chose stays.
    fn follow_clock(&mut self, now: Timestamp) {
        for held in self.claims.values_mut() {
            let status = &mut held.status;
            let Some(due) = status.due.filter(|due| *due > now) else { continue };
            match status.claimed {
                Some(claimed) if claimed > now => {
                    status.due = Some(now.after(due.since(claimed)));
                    status.claimed = Some(now);
                }
                Some(_) => {}
                None => status.due = Some(now.max(held.delay.unwrap_or(now))),
            }
        }
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
            held.status.attempts = 0;
            let key = held.status.key.clone();
            match revise.revision {
                Revision::Redrive => {
                    held.status.state = ClaimState::Waiting;
                    held.status.due = Some(revise.now);
                    held.status.ended = None;
                }
                Revision::Discard => {
                    held.status.state = ClaimState::Dropped;
                    held.status.ended = Some(revise.now);
                    self.release_next(key.as_deref(), revise.now);
                }
            }
        }
        Outcome::Touched(parked.len() as u64)
    }

    /// Lets the next message of a key go, if it was held; not before its own moment.
    fn release_next(&mut self, key: Option<&str>, now: Timestamp) {
        let Some(key) = key else { return };
        let next = self
            .claims
            .values_mut()
            .find(|held| held.status.state.is_open() && held.status.key.as_deref() == Some(key));
        if let Some(held) = next.filter(|held| held.status.state == ClaimState::Held) {
            held.status.state = ClaimState::Waiting;
            held.status.due = Some(now.max(held.delay.unwrap_or(now)));
        }
    }

    fn leased(&mut self, place: &Place) -> Option<&mut Held> {
        let held = self.claims.get_mut(&place.position)?;
        (held.status.state == ClaimState::Leased && held.fence == place.fence).then_some(held)
    }

    /// Entries up to here are not needed by this reader.
    pub(crate) fn needs_after(&self) -> u64 {
        let open = self.claims.values().find(|held| held.status.state.is_open());
        open.map_or(self.position, |held| (held.status.position - 1).min(self.position))
    }

    pub(crate) fn forget(&mut self, position: u64) {
        self.claims.remove(&position);
    }

    pub(crate) fn claim_of(&self, position: u64) -> Option<ClaimStatus> {
        self.claims.get(&position).map(|held| held.status.clone())
    }

    pub(crate) fn claims(&self, state: ClaimState, limit: usize) -> Vec<ClaimStatus> {
        let in_state = self.claims.values().filter(|held| held.status.state == state);
        in_state.map(|held| held.status.clone()).take(limit).collect()
    }

    pub(crate) fn status(&self, stream: &str, reader: &str, entries: &BTreeMap<u64, Entry>) -> ReaderStatus {
        let count = |state| self.claims.values().filter(|held| held.status.state == state).count() as u64;
        let fresh = entries.range(self.position + 1..);
        let open = self
            .claims
            .values()
            .filter(|held| held.status.state.is_open() && held.status.state != ClaimState::Parked)
            .map(|held| held.status.position);
        let oldest = open.min().or_else(|| fresh.clone().next().map(|(position, _)| *position));
        ReaderStatus {
            stream: stream.to_owned(),
            reader: reader.to_owned(),
            position: self.position,
            fresh: fresh.count() as u64,
            leased: count(ClaimState::Leased),
            waiting: count(ClaimState::Waiting),
            held: count(ClaimState::Held),
            parked: count(ClaimState::Parked),
            oldest: oldest.and_then(|position| entries.get(&position)).map(|entry| entry.at),
        }
    }
}

fn claimed(entry: &Entry, held: &Held, until: Timestamp) -> Claimed {
    Claimed {
        place: Place { position: entry.position, fence: held.fence },
        attempts: held.status.attempts,
        until,
        at: entry.at,
        record: entry.record.clone(),
    }
}
