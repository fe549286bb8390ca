//! What readers have in hand. The model stands at [`dozen_store::Claim`].

use dozen_core::Timestamp;
use dozen_store::{
    Claim, Claimed, Ended, Error, Extend, Failure, Outcome, Place, Revise, Revision, Settle, hint_of,
};
use rusqlite::{OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::readers::Reader;
use crate::rows::{self, ENTRY, signed, signed_any, unsigned};
use crate::schema::{POSITION_BITS, POSITION_MAX, place, position_of};

const LEASED: i64 = 0;
const WAITING: i64 = 1;
const HELD: i64 = 2;
const PARKED: i64 = 3;
const DONE: i64 = 10;
const DROPPED: i64 = 11;

/// A claim may be this much older than one before it (in microseconds) without the clock having been set back: callers
/// read the clock before they queue for the writer.
const CLOCK_SLACK: i64 = 1_000_000;

impl Scribe<'_> {
    pub(crate) fn claim(&mut self, claim: &Claim) -> Result<Outcome, Error> {
        let reader = self.reader(&claim.stream, &claim.reader)?;
        self.follow_clock(&reader, claim.now)?;
        let until = claim.now.after(claim.lease);
        let mut claims = Vec::new();
        self.claim_due(claim, &reader, until, &mut claims)?;
        if claims.len() < claim.limit {
            self.claim_fresh(claim, &reader, until, &mut claims)?;
        }
        let next_due = if claims.is_empty() { self.next_due(reader.reader)? } else { None };
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
        let moved = self
            .connection
            .prepare_cached(
                "update dozen_claim set claimed = iif(claimed is null, null, ?2), due = iif(claimed is null,
                 max(?2, ifnull((select due from dozen_entry where place = ?3 | (dozen_claim.place & ?4)), 0)),
                 ?2 + due - claimed) where reader = ?1 and due > ?2 and state < 2 and ifnull(claimed > ?2, true)",
            )
            .and_then(|mut statement| {
                statement.execute([reader.reader, now.0, place(reader.stream, 0), POSITION_MAX])
            })
            .map_err(sql(self))?;
        self.changed |= moved > 0;
        Ok(())
    }

    /// Retries that are due, delays that are over, leases that have ended.
    fn claim_due(
        &mut self,
        claim: &Claim,
        reader: &Reader,
        until: Timestamp,
        claims: &mut Vec<Claimed>,
    ) -> Result<(), Error> {
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let due: Vec<(i64, i64, u32)> = self
            .connection
            .prepare_cached(
                "select place, state, attempts from dozen_claim where reader = ?1 and due <= ?2
                 order by due, place limit ?3",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([reader.reader, claim.now.0, limit], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?
                    .collect()
            })
            .map_err(sql(self))?;
        for (at, state, attempts) in due {
            let position = position_of(at);
            if state == LEASED {
                self.remember_error(at, claim.now, "its lease ended before it was settled")?;
            }
            let entry = self
                .connection
                .prepare_cached(&format!("select {ENTRY} from dozen_entry where place = ?1"))
                .and_then(|mut statement| {
                    statement.query_row([place(reader.stream, position)], rows::entry).optional()
                })
                .map_err(sql(self))?;
            let fence = self.next_fence();
            let (state, due, attempts) = match entry {
                Some(_) => (LEASED, Some(until.0), attempts + 1),
                // Its entry is gone, which only a hand on the tables can bring about. It must not come back for ever.
                None => (DROPPED, None, attempts),
            };
            self.connection
                .prepare_cached(
                    "update dozen_claim set state = ?2, due = ?3, attempts = ?4, fence = ?5, claimed = ?6
                     where place = ?1",
                )
                .and_then(|mut statement| {
                    statement.execute(params![at, state, due, attempts, fence, claim.now.0])
                })
                .map_err(sql(self))?;
            self.changed = true;
            if let Some(entry) = entry {
                claims.push(Claimed {
                    place: Place { position: entry.position, fence: unsigned(fence) },
                    attempts,
                    until,
                    at: entry.at,
                    record: entry.record,
                });
            }
        }
        Ok(())
    }

    /// New entries, from the high-water mark on.
    fn claim_fresh(
        &mut self,
        claim: &Claim,
        reader: &Reader,
        until: Timestamp,
        claims: &mut Vec<Claimed>,
    ) -> Result<(), Error> {
        let connection = self.connection;
        let path = self.path;
        let fail = move |error: rusqlite::Error| crate::error::translate(path, &error);
        let mut scan = connection
            .prepare_cached(&format!(
                "select {ENTRY} from dozen_entry where place > ?1 and place <= ?2 order by place limit ?3"
            ))
            .map_err(fail)?;
        let mut entries = scan
            .query([
                place(reader.stream, reader.position),
                place(reader.stream, POSITION_MAX),
                i64::try_from(Claim::SCAN_MAX).unwrap_or(i64::MAX),
            ])
            .map_err(fail)?;
        let mut insert = connection
            .prepare_cached(
                "insert into dozen_claim (place, reader, state, due, attempts, fence, claimed, key)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .map_err(fail)?;
        let (mut position, mut scanned) = (reader.position, 0i64);
        while claims.len() < claim.limit {
            let Some(row) = entries.next().map_err(fail)? else { break };
            let entry = rows::entry(row).map_err(fail)?;
            position = signed(entry.position);
            scanned += 1;
            let behind = match &entry.record.key {
                Some(key) => self.has_open(reader.reader, key)?,
                None => false,
            };
            let delayed = entry.due.filter(|due| *due > claim.now);
            let (state, due, attempts, fence, claimed) = match delayed {
                _ if behind => (HELD, None, 0, 0, None),
                Some(due) => (WAITING, Some(due.0), 0, 0, None),
                None => (LEASED, Some(until.0), 1, self.next_fence(), Some(claim.now.0)),
            };
            insert
                .execute(params![
                    place(reader.reader, position),
                    reader.reader,
                    state,
                    due,
                    attempts,
                    fence,
                    claimed,
                    entry.record.key
                ])
                .map_err(fail)?;
            if state == LEASED {
                claims.push(Claimed {
                    place: Place { position: entry.position, fence: unsigned(fence) },
                    attempts: 1,
                    until,
                    at: entry.at,
                    record: entry.record,
                });
            }
        }
        if scanned > 0 {
            self.changed = true;
            connection
                .prepare_cached("update dozen_reader set position = ?2, taken = taken + ?3 where reader = ?1")
                .and_then(|mut statement| statement.execute([reader.reader, position, scanned]))
                .map_err(fail)?;
        }
        if claims.is_empty() && scanned == i64::try_from(Claim::SCAN_MAX).unwrap_or(i64::MAX) {
            // Nothing of this stretch could be handed out, and there is more: come again at once.
            self.touch(&hint_of(&claim.stream, &claim.reader));
        }
        Ok(())
    }

    fn has_open(&self, reader: i64, key: &str) -> Result<bool, Error> {
        self.connection
            .prepare_cached("select 1 from dozen_claim where reader = ?1 and key = ?2 and state < 10 limit 1")
            .and_then(|mut statement| statement.exists(params![reader, key]))
            .map_err(sql(self))
    }

    fn next_due(&self, reader: i64) -> Result<Option<Timestamp>, Error> {
        self.connection
            .prepare_cached("select min(due) from dozen_claim where reader = ?1 and due is not null")
            .and_then(|mut statement| statement.query_row([reader], |row| row.get::<_, Option<i64>>(0)))
            .map(|due| due.map(Timestamp))
            .map_err(sql(self))
    }

    pub(crate) fn settle(&mut self, settle: &Settle) -> Result<Outcome, Error> {
        let reader = self.reader_number(&settle.stream, &settle.reader)?;
        let connection = self.connection;
        let mut settled = Vec::with_capacity(settle.ends.len());
        // Most messages have no key and are done: one statement each, which gives nothing back.
        let mut done = connection
            .prepare_cached(
                "update dozen_claim set state = 10, due = null, ended = ?3
                 where place = ?1 and fence = ?2 and state = 0 and key is null",
            )
            .map_err(sql(self))?;
        for (held, ended) in &settle.ends {
            let at = place(reader, signed(held.position));
            if *ended == Ended::Done
                && done.execute([at, signed_any(held.fence), settle.now.0]).map_err(sql(self))? == 1
            {
                self.changed = true;
                settled.push(true);
                continue;
            }
            let (state, due, error, over) = match ended {
                Ended::Done => (DONE, None, None, true),
                Ended::Dropped(reason) => (DROPPED, None, Some(reason), true),
                Ended::Retry { at, error } => (WAITING, Some(at.0), Some(error), false),
                Ended::Parked(error) => (PARKED, None, Some(error), false),
            };
            let ended_at = due.is_none().then_some(settle.now.0);
            let key: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "update dozen_claim set state = ?3, due = ?4, ended = ?5
                     where place = ?1 and fence = ?2 and state = 0 returning key",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row(params![at, signed_any(held.fence), state, due, ended_at], |row| {
                            row.get(0)
                        })
                        .optional()
                })
                .map_err(sql(self))?;
            settled.push(key.is_some());
            let Some(key) = key else { continue };
            self.changed = true;
            if let Some(error) = error {
                self.remember_error(at, settle.now, error)?;
            }
            if let (true, Some(key)) = (over, &key) {
                self.release_next(reader, key, settle.now)?;
            }
            if due.is_some() || key.is_some() {
                self.touch(&hint_of(&settle.stream, &settle.reader));
            }
        }
        Ok(Outcome::Settled(settled))
    }

    /// Lets the next message of a key go, if it was held; not before its own moment.
    fn release_next(&mut self, reader: i64, key: &str, now: Timestamp) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "update dozen_claim set state = 1, due = max(?3, ifnull((select due from dozen_entry where place =
                 ((select stream from dozen_reader where reader = ?1) << ?4) | (dozen_claim.place & ?5)), 0))
                 where state = 2 and place =
                 (select min(place) from dozen_claim where reader = ?1 and key = ?2 and state < 10)",
            )
            .and_then(|mut statement| {
                statement.execute(params![reader, key, now.0, POSITION_BITS, POSITION_MAX])
            })
            .map_err(sql(self))?;
        Ok(())
    }

    /// Adds to a claim's history.
    fn remember_error(&mut self, at: i64, now: Timestamp, error: &str) -> Result<(), Error> {
        let (errors, claimed): (Option<String>, Option<i64>) = self
            .connection
            .prepare_cached("select errors, claimed from dozen_claim where place = ?1")
            .and_then(|mut statement| statement.query_row([at], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(sql(self))?;
        let mut errors: Vec<Failure> =
            errors.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Failure::remember(&mut errors, claimed.map(Timestamp), now, error);
        let text = serde_json::to_string(&errors)
            .map_err(|error| Error::Invalid(format!("a history cannot be written: {error}")))?;
        self.connection
            .prepare_cached("update dozen_claim set errors = ?2 where place = ?1")
            .and_then(|mut statement| statement.execute(params![at, text]))
            .map_err(sql(self))?;
        Ok(())
    }

    pub(crate) fn extend(&mut self, extend: &Extend) -> Result<Outcome, Error> {
        let reader = self.reader_number(&extend.stream, &extend.reader)?;
        let mut kept = Vec::with_capacity(extend.places.len());
        for held in &extend.places {
            let changed = self
                .connection
                .prepare_cached(
                    "update dozen_claim set due = ?3 where place = ?1 and fence = ?2 and state = 0",
                )
                .and_then(|mut statement| {
                    statement.execute([
                        place(reader, signed(held.position)),
                        signed_any(held.fence),
                        extend.until.0,
                    ])
                })
                .map_err(sql(self))?;
            self.changed |= changed == 1;
            kept.push(changed == 1);
        }
        Ok(Outcome::Settled(kept))
    }

    pub(crate) fn revise(&mut self, revise: &Revise) -> Result<Outcome, Error> {
        let reader = self.reader(&revise.stream, &revise.reader)?.reader;
        let limit = i64::try_from(revise.limit).unwrap_or(i64::MAX);
        let places: Vec<i64> = if revise.positions.is_empty() {
            self.connection
                .prepare_cached(
                    "select place from dozen_claim
                     where reader = ?1 and state = ?2 and due is null and state < 10 order by place limit ?3",
                )
                .and_then(|mut statement| {
                    statement.query_map([reader, PARKED, limit], |row| row.get(0))?.collect()
                })
                .map_err(sql(self))?
        } else {
            let positions = revise.positions.iter().take(revise.limit);
            positions.map(|position| place(reader, signed(*position))).collect()
        };
        let (state, due, ended) = match &revise.revision {
            Revision::Edit(_) => return Err(Error::Unsupported { engine: "sqlite", what: "edit a dead letter yet" }),
            Revision::Redrive => (WAITING, Some(revise.now.0), None),
            Revision::Discard => (DROPPED, None, Some(revise.now.0)),
        };
        let mut touched = 0;
        for at in places {
            let key: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "update dozen_claim set state = ?2, due = ?3, ended = ?4, attempts = 0
                     where place = ?1 and state = 3 returning key",
                )
                .and_then(|mut statement| {
                    statement.query_row(params![at, state, due, ended], |row| row.get(0)).optional()
                })
                .map_err(sql(self))?;
            let Some(key) = key else { continue };
            touched += 1;
            if let (Revision::Discard, Some(key)) = (&revise.revision, key) {
                self.release_next(reader, &key, revise.now)?;
            }
        }
        if touched > 0 {
            self.changed = true;
            self.touch(&hint_of(&revise.stream, &revise.reader));
        }
        Ok(Outcome::Touched(touched))
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
