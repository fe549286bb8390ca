//! Handing messages out. The model stands at [`dozen_store::Claim`], what is taken together at `leases`.

use dozen_core::Timestamp;
use dozen_store::{Claim, Claimed, Entry, Error, Outcome, Place, hint_of};
use rusqlite::{OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::readers::Reader;
use crate::rows::{self, EDIT, ENTRY, unsigned};
use crate::schema::{POSITION_MAX, place, position_of};
use crate::sieve::Sieve;

pub(crate) const LEASED: i64 = 0;
pub(crate) const WAITING: i64 = 1;
pub(crate) const HELD: i64 = 2;
pub(crate) const PARKED: i64 = 3;
pub(crate) const DONE: i64 = 10;
pub(crate) const DROPPED: i64 = 11;

/// What is remembered of an attempt whose worker was not heard of again.
const LEASE_ENDED: &str = "its lease ended before it was settled";

/// A claim may be this much older than one before it (in microseconds) without the clock having been set back: callers
/// read the clock before they queue for the writer.
const CLOCK_SLACK: i64 = 1_000_000;

/// One call of [`Scribe::claim`]: what was asked, and what there is so far. All of it is under one fence.
struct Hand<'a> {
    claim: &'a Claim,
    reader: Reader,
    until: Timestamp,
    fence: i64,
    claims: Vec<Claimed>,
}

impl Hand<'_> {
    fn is_full(&self) -> bool {
        self.claims.len() >= self.claim.limit
    }

    fn take(&mut self, entry: Entry, attempts: u32) {
        self.claims.push(Claimed {
            place: Place { position: entry.position, fence: unsigned(self.fence) },
            attempts,
            until: self.until,
            at: entry.at,
            record: entry.record,
        });
    }
}

impl Scribe<'_> {
    pub(crate) fn claim(&mut self, claim: &Claim) -> Result<Outcome, Error> {
        let reader = self.reader(&claim.stream, &claim.reader)?;
        if reader.paused {
            return Ok(Outcome::Claimed { claims: Vec::new(), next_due: None });
        }
        let number = reader.reader;
        self.follow_clock(&reader, claim.now)?;
        let until = claim.now.after(claim.lease);
        let mut hand = Hand { claim, reader, until, fence: self.next_fence(), claims: Vec::new() };
        self.claim_due(&mut hand)?;
        if !hand.is_full() {
            self.claim_fresh(&mut hand)?;
        }
        let claims = hand.claims;
        let next_due = if claims.is_empty() { self.next_due(number)? } else { None };
        Ok(Outcome::Claimed { claims, next_due })
    }

    /// After the clock was set back, what was leased, put off or let go before is measured by the clock as it is now, or
    /// it would wait until that has caught up. A moment that a sender chose stays. Seen at a reader's first claim, too.
    fn follow_clock(&mut self, reader: &Reader, now: Timestamp) -> Result<(), Error> {
        let latest = self.memory.clocks.insert(reader.reader, now.0).unwrap_or(i64::MAX);
        if now.0 >= latest.saturating_sub(CLOCK_SLACK) {
            self.memory.clocks.insert(reader.reader, latest.max(now.0));
            return Ok(());
        }
        let run = || -> rusqlite::Result<usize> {
            let batches = self
                .connection
                .prepare_cached(
                    "update dozen_lease set claimed = ?2, until = ?2 + until - claimed
                     where reader = ?1 and claimed > ?2",
                )?
                .execute([reader.reader, now.0])?;
            let claims = self
                .connection
                .prepare_cached(
                    "update dozen_claim set claimed = iif(claimed is null, null, ?2), due = iif(claimed is null,
                     max(?2, ifnull((select due from dozen_entry where place = ?3 | (dozen_claim.place & ?4)), 0)),
                     ?2 + due - claimed) where reader = ?1 and due > ?2 and state < 2 and ifnull(claimed > ?2, true)",
                )?
                .execute([reader.reader, now.0, place(reader.stream, 0), POSITION_MAX])?;
            Ok(batches + claims)
        };
        let moved = run().map_err(sql(self))?;
        self.changed |= moved > 0;
        Ok(())
    }

    /// Retries that are due, delays that are over, leases that have ended.
    fn claim_due(&mut self, hand: &mut Hand<'_>) -> Result<(), Error> {
        let Reader { reader, stream, .. } = hand.reader;
        let now = hand.claim.now;
        self.end_batches(reader, now.0, hand.claim.limit)?;
        let connection = self.connection;
        let limit = i64::try_from(hand.claim.limit).unwrap_or(i64::MAX);
        let due: Vec<(i64, i64, u32)> = connection
            .prepare_cached(
                "select place, state, attempts from dozen_claim where reader = ?1 and due <= ?2
                 order by due, place limit ?3",
            )
            .and_then(|mut statement| {
                let found = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_map([reader, now.0, limit], found)?.collect()
            })
            .map_err(sql(self))?;
        if due.is_empty() {
            return Ok(());
        }
        self.changed = true;
        let fail = sql(self);
        let mut find = connection
            .prepare_cached(&format!("select {ENTRY} from dozen_entry where place = ?1"))
            .map_err(&fail)?;
        let mut edit = connection
            .prepare_cached(&format!("select {EDIT} from dozen_claim where place = ?1"))
            .map_err(&fail)?;
        let mut update = connection
            .prepare_cached(
                "update dozen_claim set state = ?2, due = ?3, attempts = ?4, fence = ?5, claimed = ?6 where place = ?1",
            )
            .map_err(&fail)?;
        for (at, state, attempts) in due {
            if state == LEASED {
                self.remember_error(at, now, LEASE_ENDED)?;
            }
            let entry =
                find.query_row([place(stream, position_of(at))], rows::entry).optional().map_err(&fail)?;
            let Some(mut entry) = entry else {
                // Its entry is gone, which only a hand on the tables can bring about. It must not come back for ever.
                update
                    .execute(params![at, DROPPED, None::<i64>, attempts, hand.fence, now.0])
                    .map_err(&fail)?;
                continue;
            };
            edit.query_row([at], |row| rows::edit(row, &mut entry)).map_err(&fail)?;
            let attempts = attempts + 1;
            update.execute(params![at, LEASED, hand.until.0, attempts, hand.fence, now.0]).map_err(&fail)?;
            hand.take(entry, attempts);
        }
        Ok(())
    }

    /// New entries, from the high-water mark on.
    fn claim_fresh(&mut self, hand: &mut Hand<'_>) -> Result<(), Error> {
        let Reader { reader, stream, position: mark, .. } = hand.reader;
        let claim = hand.claim;
        if claim.sifted.as_ref().is_some_and(|sifted| sifted.after > unsigned(mark)) {
            return Ok(()); // it was moved back, to what the caller has not looked at
        }
        let mut sieve = Sieve::new(claim.sifted.as_ref(), unsigned(mark));
        let connection = self.connection;
        let fail = sql(self);
        let mut scan = connection
            .prepare_cached(&format!(
                "select {ENTRY} from dozen_entry where place > ?1 and place <= ?2 order by place limit ?3"
            ))
            .map_err(&fail)?;
        let scan_max = i64::try_from(Claim::SCAN_MAX).unwrap_or(i64::MAX);
        let mut entries =
            scan.query([place(stream, mark), place(stream, POSITION_MAX), scan_max]).map_err(&fail)?;
        let mut insert = connection
            .prepare_cached(
                "insert into dozen_claim (place, reader, state, due, attempts, fence, claimed, key)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .map_err(&fail)?;
        let (mut position, mut scanned) = (mark, 0i64);
        let mut batch = Vec::new();
        while !hand.is_full() {
            let Some(row) = entries.next().map_err(&fail)? else { break };
            let here = position_of(row.get(0).map_err(&fail)?);
            let Some(wanted) = sieve.wants(unsigned(here)) else { break };
            position = here;
            scanned += 1;
            if !wanted {
                continue;
            }
            let entry = rows::entry(row).map_err(&fail)?;
            let behind = match &entry.record.key {
                Some(key) => self.must_wait(reader, key, claim.per_key)?,
                None => false,
            };
            let delayed = entry.due.filter(|due| *due > claim.now);
            let (state, due, attempts, fence, claimed) = match delayed {
                _ if behind => (HELD, None, 0, 0, None),
                Some(due) => (WAITING, Some(due.0), 0, 0, None),
                None if entry.record.key.is_none() => {
                    batch.push(here);
                    hand.take(entry, 1);
                    continue;
                }
                None => (LEASED, Some(hand.until.0), 1, hand.fence, Some(claim.now.0)),
            };
            let key = &entry.record.key;
            insert
                .execute(params![place(reader, here), reader, state, due, attempts, fence, claimed, key])
                .map_err(&fail)?;
            if state == LEASED {
                hand.take(entry, 1);
            }
        }
        match batch[..] {
            [here] => {
                let [due, now] = [hand.until.0, claim.now.0];
                insert
                    .execute(params![
                        place(reader, here),
                        reader,
                        LEASED,
                        due,
                        1,
                        hand.fence,
                        now,
                        None::<String>
                    ])
                    .map_err(&fail)?;
            }
            _ => self.lease_batch(reader, hand.fence, claim, &batch)?,
        }
        if scanned > 0 {
            self.changed = true;
            connection
                .prepare_cached("update dozen_reader set position = ?2, taken = taken + ?3 where reader = ?1")
                .and_then(|mut statement| statement.execute([reader, position, scanned]))
                .map_err(&fail)?;
        }
        if hand.claims.is_empty() && scanned == scan_max {
            // Nothing of this stretch could be handed out, and there is more: come again at once.
            self.touch(&hint_of(&claim.stream, &claim.reader));
        }
        Ok(())
    }

    /// Whether a new message of `key` waits for others of it: one that is held or a dead letter, or as many as may be out.
    fn must_wait(&self, reader: i64, key: &str, per_key: u32) -> Result<bool, Error> {
        // Those that are out stand before those that are held, so neither look goes through a long row of these.
        let exists = |query: &str, offset: u32| {
            self.connection
                .prepare_cached(query)
                .and_then(|mut statement| statement.exists(params![reader, key, offset]))
                .map_err(sql(self))
        };
        const OPEN: &str =
            "select 1 from dozen_claim where reader = ?1 and key = ?2 and state < 10 limit 1 offset ?3";
        const STUCK: &str =
            "select 1 from dozen_claim where reader = ?1 and key = ?2 and state < 10 and state >= 2
                             limit 1 offset ?3";
        Ok(exists(OPEN, per_key.max(1) - 1)? || (per_key > 1 && exists(STUCK, 0)?))
    }

    fn next_due(&self, reader: i64) -> Result<Option<Timestamp>, Error> {
        self.connection
            .prepare_cached(
                "select min(due) from (
                     select min(due) as due from dozen_claim where reader = ?1 and due is not null
                     union all select min(until) from dozen_lease where reader = ?1)",
            )
            .and_then(|mut statement| statement.query_row([reader], |row| row.get::<_, Option<i64>>(0)))
            .map(|due| due.map(Timestamp))
            .map_err(sql(self))
    }
}

#[cfg(test)]
mod tests {
    use dozen_store::ClaimState;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_port() {
        for (state, code) in [
            (ClaimState::Leased, LEASED),
            (ClaimState::Waiting, WAITING),
            (ClaimState::Held, HELD),
            (ClaimState::Parked, PARKED),
            (ClaimState::Done, DONE),
            (ClaimState::Dropped, DROPPED),
        ] {
            assert_eq!(state.code(), code);
        }
    }
}
