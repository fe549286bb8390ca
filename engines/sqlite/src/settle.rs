//! Ending claims, and holding them for longer.

use std::collections::HashMap;

use dozen_core::Timestamp;
use dozen_store::{Ended, Error, Extend, Failure, Outcome, Settle, end_of, hint_of};
use rusqlite::{OptionalExtension, params};

use crate::claims::{DONE, DROPPED, PARKED, WAITING};
use crate::leases::Batch;
use crate::ops::{Scribe, sql};
use crate::rows::{signed, signed_any};
use crate::schema::{POSITION_BITS, POSITION_MAX, place};

/// The batches that one call has to do with, by fence. Most calls have to do with one.
#[derive(Default)]
struct Batches(HashMap<i64, Option<Batch>>);

impl Batches {
    /// The batch of this lease, if there is one.
    fn of(&mut self, scribe: &Scribe<'_>, reader: i64, fence: i64) -> Result<Option<&mut Batch>, Error> {
        match self.0.entry(fence) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut().as_mut()),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                let batch = Batch::find(scribe.connection, reader, fence).map_err(sql(scribe))?;
                Ok(unknown.insert(batch).as_mut())
            }
        }
    }
}

impl Scribe<'_> {
    pub(crate) fn settle(&mut self, settle: &Settle) -> Result<Outcome, Error> {
        let reader = self.reader_number(&settle.stream, &settle.reader)?;
        let connection = self.connection;
        let fail = sql(self);
        let mut settled = Vec::with_capacity(settle.ends.len());
        let mut batches = Batches::default();
        let (mut ended_any, mut comes_again) = (false, false);
        // Most messages are of a batch and done: one insert each.
        let mut done_of_batch = connection
            .prepare_cached(
                "insert or replace into dozen_claim (place, reader, state, attempts, fence, claimed, ended)
                 values (?1, ?2, 10, 1, 0, ?3, ?4)",
            )
            .map_err(&fail)?;
        let mut done_alone = connection
            .prepare_cached(
                "update dozen_claim set state = 10, due = null, ended = ?3
                 where place = ?1 and fence = ?2 and state = 0 and key is null",
            )
            .map_err(&fail)?;
        for (held, ended) in &settle.ends {
            let (position, fence) = (signed(held.position), signed_any(held.fence));
            let at = place(reader, position);
            if let Some(batch) = batches.of(self, reader, fence)?
                && batch.has(position)
            {
                if *ended == Ended::Done {
                    batch.take(position);
                    done_of_batch.execute([at, reader, batch.claimed, settle.now.0]).map_err(&fail)?;
                    settled.push(true);
                    ended_any = true;
                    continue;
                }
                let due = batch.until;
                self.part_with(reader, batch, &[position], due)?;
            } else if *ended == Ended::Done
                && done_alone.execute([at, fence, settle.now.0]).map_err(&fail)? == 1
            {
                settled.push(true);
                ended_any = true;
                continue;
            }
            let good = self.end_claim(reader, at, fence, ended, settle.now, &mut comes_again)?;
            ended_any |= good && !matches!(ended, Ended::Retry { .. });
            self.changed |= good;
            settled.push(good);
        }
        self.changed |= ended_any;
        for batch in batches.0.into_values().flatten() {
            batch.save(connection).map_err(&fail)?;
        }
        if comes_again {
            self.touch(&hint_of(&settle.stream, &settle.reader));
        }
        if ended_any {
            self.touch(&end_of(&settle.stream, &settle.reader));
        }
        Ok(Outcome::Settled(settled))
    }

    /// Ends one claim that has a row of its own; says whether its lease was good.
    fn end_claim(
        &mut self,
        reader: i64,
        at: i64,
        fence: i64,
        ended: &Ended,
        now: Timestamp,
        comes_again: &mut bool,
    ) -> Result<bool, Error> {
        let (state, due, error) = match ended {
            Ended::Done => (DONE, None, None),
            Ended::Dropped(reason) => (DROPPED, None, Some(reason)),
            Ended::Retry { at, error } => (WAITING, Some(at.0), Some(error)),
            Ended::Parked(error) => (PARKED, None, Some(error)),
        };
        let ended_at = due.is_none().then_some(now.0);
        let key: Option<Option<String>> = self
            .connection
            .prepare_cached(
                "update dozen_claim set state = ?3, due = ?4, ended = ?5
                 where place = ?1 and fence = ?2 and state = 0 returning key",
            )
            .and_then(|mut statement| {
                statement.query_row(params![at, fence, state, due, ended_at], |row| row.get(0)).optional()
            })
            .map_err(sql(self))?;
        let Some(key) = key else { return Ok(false) };
        if let Some(error) = error {
            self.remember_error(at, now, error)?;
        }
        *comes_again |= due.is_some();
        if let (DONE | DROPPED, Some(key)) = (state, &key) {
            *comes_again |= self.release_next(reader, key, now)?;
        }
        Ok(true)
    }

    /// Lets the first held message of a key go, unless a dead letter of the key remains; not before its own moment. Says
    /// whether there was one.
    pub(crate) fn release_next(&mut self, reader: i64, key: &str, now: Timestamp) -> Result<bool, Error> {
        // Dead letters of a key stand before what is held under it: the first of both decides.
        let released = self
            .connection
            .prepare_cached(
                "update dozen_claim set state = 1, due = max(?3, ifnull((select due from dozen_entry where place =
                 ((select stream from dozen_reader where reader = ?1) << ?4) | (dozen_claim.place & ?5)), 0))
                 where state = 2 and place = (
                     select place from dozen_claim where reader = ?1 and key = ?2 and state < 10 and state >= 2
                     order by place limit 1)",
            )
            .and_then(|mut statement| {
                statement.execute(params![reader, key, now.0, POSITION_BITS, POSITION_MAX])
            })
            .map_err(sql(self))?;
        Ok(released > 0)
    }

    /// Adds to a claim's history.
    pub(crate) fn remember_error(&mut self, at: i64, now: Timestamp, error: &str) -> Result<(), Error> {
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
        let connection = self.connection;
        let fail = sql(self);
        let mut kept = Vec::with_capacity(extend.places.len());
        let mut batches = Batches::default();
        let mut of_batches: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut alone = connection
            .prepare_cached("update dozen_claim set due = ?3 where place = ?1 and fence = ?2 and state = 0")
            .map_err(&fail)?;
        for held in &extend.places {
            let (position, fence) = (signed(held.position), signed_any(held.fence));
            let batch = batches.of(self, reader, fence)?;
            let good = if batch.is_some_and(|batch| batch.has(position)) {
                of_batches.entry(fence).or_default().push(position);
                true
            } else {
                alone.execute([place(reader, position), fence, extend.until.0]).map_err(&fail)? == 1
            };
            self.changed |= good;
            kept.push(good);
        }
        for (fence, mut positions) in of_batches {
            positions.sort_unstable();
            positions.dedup();
            let Some(batch) = batches.of(self, reader, fence)? else { continue };
            if batch.open().eq(positions.iter().copied()) {
                connection
                    .prepare_cached("update dozen_lease set until = ?3 where reader = ?1 and fence = ?2")
                    .and_then(|mut statement| statement.execute([reader, fence, extend.until.0]))
                    .map_err(&fail)?;
            } else {
                self.part_with(reader, batch, &positions, extend.until.0)?;
            }
        }
        Ok(Outcome::Settled(kept))
    }
}
