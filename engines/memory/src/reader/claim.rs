//! What a reader hands out: first what is due again, then what is new.

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_store::{Claim, ClaimState, ClaimStatus, Claimed, Entry, Failure, Outcome, Place};

use super::{Held, Reader};

/// What is remembered of an attempt whose worker was not heard of again.
const LEASE_ENDED: &str = "its lease ended before it was settled";

impl Reader {
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
}

impl Held {
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
