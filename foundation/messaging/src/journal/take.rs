//! One look for messages: what of the streams is handed out, and what ends without a handler.
//!
//! ```text
//!  part by part ─► sift what comes next, if there is a filter ─► claim ─► admit ──► a delivery
//!       ▲                                                         │         ├─► expired: dropped
//!       └────────── again, where nobody wants the stretch ────────┘         └─► unreadable, or sealed with another key: parked
//! ```

use std::sync::atomic::Ordering;

use dozen_core::{Message, Timestamp, chain};
use dozen_store::{Claim, Claimed, Entry, Place, Sifted};

use super::{Among, JournalSubscriber, Part, failed};
use crate::{Delivery, Error, Filter, Lease, Settlement, Subscriber as _};

impl JournalSubscriber {
    /// Takes what can be had at once, and says when something becomes due otherwise.
    pub(super) async fn take(&self, max: usize) -> Result<(Vec<Delivery>, Option<Timestamp>), Error> {
        let parts = self.parts();
        let first = match self.among {
            Among::First => 0,
            Among::Turns => self.turn.fetch_add(1, Ordering::Relaxed) % parts.len().max(1),
        };
        let (mut deliveries, mut next_due) = (Vec::new(), None);
        for at in (first..parts.len()).chain(0..first) {
            let due = self.take_of(at, &parts[at], max - deliveries.len(), &mut deliveries).await;
            match due {
                Ok(due) => next_due = [next_due, due].into_iter().flatten().min(),
                // What is in hand already must reach its handler; the error will come again.
                Err(error) if deliveries.is_empty() => return Err(error),
                Err(_) => break,
            }
            if deliveries.len() >= max {
                break;
            }
        }
        Ok((deliveries, next_due))
    }

    async fn take_of(
        &self,
        at: usize,
        part: &Part,
        max: usize,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Option<Timestamp>, Error> {
        let mut claim = Claim {
            stream: part.stream.clone(),
            reader: part.reader.clone(),
            limit: max,
            now: self.store.clock().now(),
            lease: self.lease,
            per_key: self.per_key,
            sifted: None,
        };
        let mut stood = None;
        loop {
            if let Some(filter) = &self.filter {
                claim.sifted = Some(self.sift(part, &**filter).await?);
            }
            let looked = claim.sifted.as_ref().map_or(0, |sifted| sifted.entries.len());
            let claimed = self.journal.claim_as(claim.clone()).await;
            let (claims, next_due) = claimed.map_err(|error| failed("take messages of", part, error))?;
            let taken = claims.len();
            let mut unfit = Vec::new();
            for claimed in claims {
                match self.admit(at, claimed) {
                    Ok(delivery) => deliveries.push(delivery),
                    Err(end) => unfit.push(end),
                }
            }
            let all_unfit = taken > 0 && unfit.len() == taken;
            if !unfit.is_empty() {
                self.settle(unfit).await?;
            }
            // A stretch of what nobody wants: go on with what follows. A reader that rests has passed nothing, and would be
            // found at the same place for ever.
            let stands = claim.sifted.as_ref().map(|sifted| sifted.after);
            let has_moved = std::mem::replace(&mut stood, stands) != stands;
            if !(all_unfit || (taken == 0 && looked == Claim::SCAN_MAX && has_moved)) {
                return Ok(next_due);
            }
        }
    }

    /// Looks at what comes next and decides what of it is wanted: off the engine's writing path, from a snapshot.
    async fn sift(&self, part: &Part, filter: &dyn Filter) -> Result<Sifted, Error> {
        let look = async {
            let after = self.journal.standing(&part.stream, &part.reader).await?.unwrap_or(u64::MAX);
            Ok((after, self.journal.read(&part.stream, after, Claim::SCAN_MAX).await?))
        };
        let (after, entries) = look.await.map_err(|error| failed("look through", part, error))?;
        let wants = |entry: Entry| (entry.position, self.wants(filter, entry));
        Ok(Sifted { after, entries: entries.into_iter().map(wants).collect() })
    }

    fn wants(&self, filter: &dyn Filter, entry: Entry) -> bool {
        // What cannot be read is handed out, so that it is noticed.
        let Ok(mut message) = Message::try_from(entry.record) else { return true };
        match &self.keys {
            Some(keys) if keys.unseal(&mut message).is_err() => true,
            _ => filter.wants(&message),
        }
    }

    /// A claim as a delivery, or how it ends without one.
    fn admit(&self, part: usize, claimed: Claimed) -> Result<Delivery, (Lease, Settlement)> {
        let Place { position, fence } = claimed.place;
        let lease = Lease { position, fence, part: u32::try_from(part).unwrap_or(u32::MAX) };
        let park = |error: String| (lease, Settlement::Park { error });
        // It was written by something else than dozen. Nobody can handle it; a person must look.
        let mut message = Message::try_from(claimed.record)
            .map_err(|error| park(format!("it is no CloudEvent: {}", chain(&error))))?;
        if let Some(moment) = message.extension("expirytime").and_then(Timestamp::parse)
            && moment <= self.store.clock().now()
        {
            return Err((lease, Settlement::Drop { reason: format!("it expired at {moment}") }));
        }
        if let Some(keys) = &self.keys {
            keys.unseal(&mut message).map_err(|error| park(chain(&error)))?;
        }
        Ok(Delivery { message, lease, attempts: claimed.attempts, until: claimed.until, stored: claimed.at })
    }
}
