//! One reader: its high-water mark, and a claim for everything that it has looked at and not forgotten.

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_store::{
    Claim, ClaimState, ClaimStatus, Claimed, Ended, Entry, Extend, Failure, Outcome, Place, Record, Revise,
    Revision, Settle,
};

/// What is remembered of an attempt whose worker was not heard of again.
const LEASE_ENDED: &str = "its lease ended before it was settled";

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

    pub(crate) fn claim(
        &mut self,
        claim: &Claim,
        entries: &BTreeMap<u64, Entry>,
        fence: &mut u64,
    ) -> Outcome {
        if self.paused {
            return Outcome::Claimed { claims: Vec::new(), next_due: None };
        }
        self.follow_clock(claim.now);
        let mut claims = Vec::new();
        self.claim_due(claim, entries, fence, &mut claims);
        let scanned = self.claim_fresh(claim, entries, fence, &mut claims);
        let again = claims.is_empty() && scanned == Claim::SCAN_MAX;
        let next = self.claims.values().filter_map(|held| held.status.due).min();
        let next_due = if again { Some(claim.now) } else { next.filter(|_| claims.is_empty()) };
        Outcome::Claimed { claims, next_due }
    }

    /// Retries that are due, delays that are over, leases that have ended.
    fn claim_due(
        &mut self,
        claim: &Claim,
        entries: &BTreeMap<u64, Entry>,
        fence: &mut u64,
        claims: &mut Vec<Claimed>,
    ) {
        let until = claim.now.after(claim.lease);
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
            claims.push(held.hand_out(entry, until));
        }
    }

    /// New entries, from the high-water mark on; gives how many were looked at.
    fn claim_fresh(
        &mut self,
        claim: &Claim,
        entries: &BTreeMap<u64, Entry>,
        fence: &mut u64,
        claims: &mut Vec<Claimed>,
    ) -> usize {
        let until = claim.now.after(claim.lease);
        let news = entries.range(self.position + 1..).map(|(position, _)| (*position, true));
        let news: Vec<(u64, bool)> = match &claim.sifted {
            None => news.take(Claim::SCAN_MAX).collect(),
            Some(sifted) if self.position < sifted.after => Vec::new(),
            Some(sifted) => {
                let unread = sifted.entries.iter().filter(|(position, _)| *position > self.position);
                unread.copied().take(Claim::SCAN_MAX).collect()
            }
        };
        let mut scanned = 0;
        for (position, wanted) in news {
            if claims.len() >= claim.limit {
                break;
            }
            self.position = position;
            scanned += 1;
            let Some(entry) = entries.get(&position).filter(|_| wanted) else { continue };
            let key = entry.record.key.as_deref();
            let behind = key.is_some_and(|key| self.is_full(key, claim.per_key));
            let delayed = entry.due.filter(|due| *due > claim.now);
            let (state, due) = match delayed {
                _ if behind => (ClaimState::Held, None),
                Some(due) => (ClaimState::Waiting, Some(due)),
                None => (ClaimState::Leased, Some(until)),
            };
            let leased = state == ClaimState::Leased;
            *fence += u64::from(leased);
            let status = ClaimStatus {
                position,
                state,
                attempts: u32::from(leased),
                due,
                claimed: leased.then_some(claim.now),
                ended: None,
                key: entry.record.key.clone(),
                errors: Vec::new(),
                edited: false,
            };
            let held = Held { status, fence: *fence, delay: entry.due, edit: None };
            if leased {
                claims.push(held.hand_out(entry, until));
            }
            self.claims.insert(position, held);
        }
        scanned
    }

    /// Whether a new message of `key` has to wait for another of it.
    fn is_full(&self, key: &str, per_key: u32) -> bool {
        let states = || self.of_key(key).map(|held| held.status.state);
        states().any(|state| matches!(state, ClaimState::Held | ClaimState::Parked))
            || states().count() >= usize::try_from(per_key.max(1)).unwrap_or(usize::MAX)
    }

    /// The unfinished claims under a key.
    fn of_key(&self, key: &str) -> impl Iterator<Item = &Held> {
        let open = self.claims.values().filter(|held| held.status.state.is_open());
        open.filter(move |held| held.status.key.as_deref() == Some(key))
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

    fn hand_out(&self, entry: &Entry, until: Timestamp) -> Claimed {
        Claimed {
            place: Place { position: entry.position, fence: self.fence },
            attempts: self.status.attempts,
            until,
            at: entry.at,
            record: self.view(entry).record,
        }
    }
}
