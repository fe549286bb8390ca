//! Batches: what is taken together is leased by one row, which says what of it is not ended.
//!
//! ```text
//!   claim    reads entries 41 42 43 44      dozen_lease: fence 9, open 4, positions 41 42 43 44
//!   settle   41 done, 43 to be retried      dozen_lease: fence 9, open 2, positions 42 44
//!                                           dozen_claim: 41 done · 43 waiting
//!   the lease ends                          dozen_claim: 42 leased, 44 leased, and as such handed out again
//! ```
//!
//! So a message that goes its usual way costs one insert in a table without an index that would hold it, and the lease of
//! a batch costs one row. Positions stand in the row in order, each as its distance from the one before, seven bits to a
//! byte (the last byte of a number has its high bit clear).

use dozen_store::{Claim, Error};
use rusqlite::{Connection, OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::schema::place;

/// A batch as it stands.
pub(crate) struct Batch {
    reader: i64,
    pub(crate) fence: i64,
    pub(crate) until: i64,
    pub(crate) claimed: i64,
    /// Positions that were open when it was read, in order, and whether they are still.
    positions: Vec<(i64, bool)>,
}

impl Batch {
    /// Reads the batch of this lease, if the reader has it.
    pub(crate) fn find(connection: &Connection, reader: i64, fence: i64) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "select until, claimed, positions from dozen_lease where reader = ?1 and fence = ?2",
            )?
            .query_row([reader, fence], |row| {
                let positions = unpack(row.get_ref(2)?.as_blob()?);
                let positions = positions.map(|position| (position, true)).collect();
                Ok(Self { reader, fence, until: row.get(0)?, claimed: row.get(1)?, positions })
            })
            .optional()
    }

    /// Whether it has this position, open.
    pub(crate) fn has(&self, position: i64) -> bool {
        let found = self.positions.binary_search_by_key(&position, |(position, _)| *position);
        found.is_ok_and(|at| self.positions[at].1)
    }

    /// Takes a position out; says whether it was there and open.
    pub(crate) fn take(&mut self, position: i64) -> bool {
        let found = self.positions.binary_search_by_key(&position, |(position, _)| *position);
        found.is_ok_and(|at| std::mem::take(&mut self.positions[at].1))
    }

    /// What is open.
    pub(crate) fn open(&self) -> impl Iterator<Item = i64> {
        self.positions.iter().filter(|(_, open)| *open).map(|(position, _)| *position)
    }

    /// Writes what is left of it, if something was taken.
    pub(crate) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.positions.is_empty() && self.positions.iter().all(|(_, open)| *open) {
            return Ok(());
        }
        let open: Vec<i64> = self.open().collect();
        let Some(first) = open.first() else {
            return connection
                .prepare_cached("delete from dozen_lease where reader = ?1 and fence = ?2")?
                .execute([self.reader, self.fence])
                .map(drop);
        };
        connection
            .prepare_cached("update dozen_lease set open = ?3, first = ?4, positions = ?5 where reader = ?1 and fence = ?2")?
            .execute(params![self.reader, self.fence, count(&open), first, pack(&open)])
            .map(drop)
    }
}

impl Scribe<'_> {
    /// Leases these positions, which are in order, together.
    pub(crate) fn lease_batch(
        &self,
        reader: i64,
        fence: i64,
        claim: &Claim,
        positions: &[i64],
    ) -> Result<(), Error> {
        let Some(first) = positions.first() else { return Ok(()) };
        let until = claim.now.after(claim.lease).0;
        self.connection
            .prepare_cached("insert into dozen_lease values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .and_then(|mut insert| {
                let (open, packed) = (count(positions), pack(positions));
                insert.execute(params![reader, fence, until, claim.now.0, open, first, packed])
            })
            .map(drop)
            .map_err(sql(self))
    }

    /// Makes leases that have ended into a claim for each message: the oldest batches, until `limit` messages are there
    /// to be handed out again.
    pub(crate) fn end_batches(&mut self, reader: i64, now: i64, limit: usize) -> Result<(), Error> {
        let mut messages = 0;
        while messages < limit {
            let ended: Option<i64> = self
                .connection
                .prepare_cached(
                    "select fence from dozen_lease where reader = ?1 and until <= ?2 order by until limit 1",
                )
                .and_then(|mut statement| statement.query_row([reader, now], |row| row.get(0)).optional())
                .map_err(sql(self))?;
            let Some(fence) = ended else { break };
            let batch = Batch::find(self.connection, reader, fence).map_err(sql(self))?;
            let Some(mut batch) = batch else { break };
            let all: Vec<i64> = batch.open().collect();
            messages += all.len().max(1);
            let until = batch.until;
            self.part_with(reader, &mut batch, &all, until)?;
        }
        Ok(())
    }

    /// Takes positions out of a batch and gives each a claim of its own, under the same lease until `due`.
    pub(crate) fn part_with(
        &mut self,
        reader: i64,
        batch: &mut Batch,
        positions: &[i64],
        due: i64,
    ) -> Result<(), Error> {
        let connection = self.connection;
        let mut run = || -> rusqlite::Result<()> {
            let mut insert = connection.prepare_cached(
                "insert or replace into dozen_claim (place, reader, state, due, attempts, fence, claimed)
                 values (?1, ?2, 0, ?3, 1, ?4, ?5)",
            )?;
            for position in positions {
                if batch.take(*position) {
                    insert.execute([place(reader, *position), reader, due, batch.fence, batch.claimed])?;
                }
            }
            batch.save(connection)
        };
        self.changed = true;
        run().map_err(sql(self))
    }
}

fn count(positions: &[i64]) -> i64 {
    i64::try_from(positions.len()).unwrap_or(i64::MAX)
}

fn pack(positions: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(positions.len() + 8);
    let mut before = 0;
    for position in positions {
        let mut distance = position - before;
        before = *position;
        while distance > 0x7f {
            bytes.push(0x80 | (distance & 0x7f) as u8);
            distance >>= 7;
        }
        bytes.push(distance as u8);
    }
    bytes
}

/// The positions of a batch. A number that was cut off is not one.
pub(crate) fn unpack(bytes: &[u8]) -> impl Iterator<Item = i64> {
    let (mut before, mut distance, mut shift) = (0i64, 0i64, 0u32);
    bytes.iter().filter_map(move |byte| {
        distance |= i64::from(byte & 0x7f) << shift.min(56);
        shift += 7;
        if byte & 0x80 != 0 {
            return None;
        }
        before = before.wrapping_add(distance);
        (distance, shift) = (0, 0);
        Some(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::POSITION_MAX;

    #[test]
    fn positions_come_back_as_they_went() {
        for positions in [
            vec![],
            vec![1],
            vec![1, 2, 3, 4],
            vec![127, 128, 129, 256, 1_000_000],
            vec![5, POSITION_MAX - 1, POSITION_MAX],
        ] {
            assert_eq!(unpack(&pack(&positions)).collect::<Vec<_>>(), positions);
        }
        assert_eq!(pack(&[1_000, 1_001, 1_002]).len(), 4, "neighbours take a byte each");
        assert_eq!(unpack(&[0x01, 0x80]).collect::<Vec<_>>(), [1]);
    }
}
