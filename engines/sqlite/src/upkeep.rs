//! Forgetting: what is old, what is too much, and what later entries have replaced.

use std::collections::HashSet;

use dozen_store::{Compact, Error, Outcome, Trim};
use rusqlite::{Connection, OptionalExtension, params};

use crate::leases::unpack;
use crate::ops::{Scribe, sql};
use crate::schema::{POSITION_MAX, place, position_of};

/// Entries that must stay, though they stand before some that may go, which one trim looks past: stamped by a clock that
/// was ahead. Bounds the look in vain at a stream in which everything is young.
const LOOK_PAST: usize = 1_000;

/// What a reader of a stream is.
struct Reader {
    number: i64,
    position: i64,
}

fn readers(connection: &Connection, stream: i64) -> rusqlite::Result<Vec<Reader>> {
    connection
        .prepare_cached("select reader, position from dozen_reader where stream = ?1")?
        .query_map([stream], |row| Ok(Reader { number: row.get(0)?, position: row.get(1)? }))?
        .collect()
}

impl Scribe<'_> {
    /// Forgets old entries up to the first that some reader still needs.
    pub(crate) fn trim(&mut self, trim: &Trim) -> Result<Outcome, Error> {
        let Some(stream) = self.find_stream(&trim.stream)? else { return Ok(Outcome::Touched(0)) };
        self.memory.uncounted.flush(self.connection).map_err(sql(self))?;
        let gone = run_trim(self.connection, stream, trim).map_err(sql(self))?;
        self.changed |= gone > 0;
        Ok(Outcome::Touched(gone))
    }

    /// Looks at what is new first, then at some of what it knows, for entries that were still young or needed when their
    /// successors came.
    pub(crate) fn compact(&mut self, compact: &Compact) -> Result<Outcome, Error> {
        let Some(stream) = self.find_stream(&compact.stream)? else { return Ok(Outcome::Touched(0)) };
        self.memory.uncounted.flush(self.connection).map_err(sql(self))?;
        self.changed = true;
        let gone = run_compact(self.connection, stream, compact).map_err(sql(self))?;
        Ok(Outcome::Touched(gone))
    }
}

fn run_trim(connection: &Connection, stream: i64, trim: &Trim) -> rusqlite::Result<u64> {
    let (bytes, compacted): (i64, i64) = connection
        .prepare_cached("select bytes, compacted from dozen_stream where stream = ?1")?
        .query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let bytes_max = trim.bytes_max.map_or(i64::MAX, |max| i64::try_from(max).unwrap_or(i64::MAX));
    let mut excess = bytes.saturating_sub(bytes_max);
    let readers = readers(connection, stream)?;
    // What goes, as ranges of places, so that each is one statement.
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    let (mut gone, mut gone_bytes, mut passed, mut is_gap) = (0usize, 0i64, 0usize, true);
    let mut look = connection.prepare_cached(
        "select place, at, length(data) from dozen_entry where place between ?1 and ?2 order by place",
    )?;
    let mut entries = look.query([place(stream, 0), place(stream, needed_from(connection, &readers)?)])?;
    while gone < trim.limit && passed < LOOK_PAST {
        let Some(row) = entries.next()? else { break };
        let (at, stamp, length): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if stamp >= trim.before.0 && excess <= 0 {
            passed += 1;
            is_gap = true;
            continue;
        }
        match ranges.last_mut() {
            Some((_, last)) if !is_gap => *last = at,
            _ => ranges.push((at, at)),
        }
        is_gap = false;
        gone += 1;
        gone_bytes += length;
        excess -= length;
    }
    drop(entries);
    for (first, last) in ranges {
        if compacted > 0 {
            connection
                .prepare_cached(
                    "delete from dozen_latest where (stream, key, position) in (
                         select ?3, key, place & ?4 from dozen_entry where place between ?1 and ?2 and key is not null)",
                )?
                .execute([first, last, stream, POSITION_MAX])?;
        }
        connection
            .prepare_cached("delete from dozen_entry where place between ?1 and ?2")?
            .execute([first, last])?;
        for reader in &readers {
            connection
                .prepare_cached("delete from dozen_claim where place between ?1 and ?2 and state >= 10")?
                .execute([
                    place(reader.number, position_of(first)),
                    place(reader.number, position_of(last)),
                ])?;
        }
    }
    forget_bytes(connection, stream, gone_bytes)?;
    Ok(gone as u64)
}

fn forget_bytes(connection: &Connection, stream: i64, bytes: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("update dozen_stream set bytes = max(0, bytes - ?2) where stream = ?1")?
        .execute([stream, bytes])
        .map(drop)
}

/// Entries up to here are not needed by any reader.
fn needed_from(connection: &Connection, readers: &[Reader]) -> rusqlite::Result<i64> {
    // Open claims at the beginning of a reader's window are few (they are what it works on), unless dead letters gather;
    // then this is the price of keeping them.
    let mut first_open = connection.prepare_cached(
        "select min(first) from (
             select min(place) & ?2 as first from dozen_claim where reader = ?1 and due is not null
             union all select min(place) & ?2 from dozen_claim where reader = ?1 and due is null and state < 10
             union all select min(first) from dozen_lease where reader = ?1)",
    )?;
    let mut needed = POSITION_MAX;
    for reader in readers {
        let open: Option<i64> = first_open.query_row([reader.number, POSITION_MAX], |row| row.get(0))?;
        needed = needed.min(reader.position).min(open.map_or(POSITION_MAX, |first| first - 1));
    }
    Ok(needed)
}

/// What compaction knows of a stream, and whom it must ask.
struct Compaction<'a> {
    connection: &'a Connection,
    stream: i64,
    before: i64,
    readers: Vec<Reader>,
    /// Entries beyond this position have not been looked at by every reader.
    mark: i64,
    /// Entries before it that a reader has not ended.
    open: HashSet<i64>,
    gone: u64,
    bytes: i64,
}

fn run_compact(connection: &Connection, stream: i64, compact: &Compact) -> rusqlite::Result<u64> {
    let readers = readers(connection, stream)?;
    let mark = readers.iter().map(|reader| reader.position).min().unwrap_or(POSITION_MAX);
    let open = open(connection, &readers)?;
    let before = compact.before.0;
    let mut work = Compaction { connection, stream, before, readers, mark, open, gone: 0, bytes: 0 };
    let (mut compacted, mut revisited): (i64, i64) = connection
        .prepare_cached("select compacted, revisited from dozen_stream where stream = ?1")?
        .query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let limit = i64::try_from(compact.limit).unwrap_or(i64::MAX);
    let new = work.window(compacted, POSITION_MAX, limit)?;
    for (position, key) in &new {
        compacted = *position;
        if let Some(key) = key
            && let Some(replaced) = work.follow(key, *position)?
        {
            work.forget(replaced)?;
        }
    }
    // Then what is known, going around.
    let left = |known: &[_]| limit.saturating_sub(i64::try_from(new.len() + known.len()).unwrap_or(i64::MAX));
    let mut known = work.window(revisited, compacted, left(&[]))?;
    known.extend(work.window(0, revisited, left(&known))?);
    revisited = known.last().map_or(0, |(position, _)| *position);
    for (position, key) in known {
        if let Some(key) = key
            && work.latest(&key)?.is_some_and(|latest| latest > position)
        {
            work.forget(position)?;
        }
    }
    connection
        .prepare_cached("update dozen_stream set compacted = ?2, revisited = ?3 where stream = ?1")?
        .execute([stream, compacted, revisited])?;
    forget_bytes(connection, stream, work.bytes)?;
    Ok(work.gone)
}

/// The positions of what these readers have in hand.
fn open(connection: &Connection, readers: &[Reader]) -> rusqlite::Result<HashSet<i64>> {
    let mut claims = connection.prepare_cached(
        "select place from dozen_claim where reader = ?1 and due is not null
         union all select place from dozen_claim where reader = ?1 and due is null and state < 10",
    )?;
    let mut leases = connection.prepare_cached("select positions from dozen_lease where reader = ?1")?;
    let mut open = HashSet::new();
    for reader in readers {
        let mut rows = claims.query([reader.number])?;
        while let Some(row) = rows.next()? {
            open.insert(position_of(row.get(0)?));
        }
        let mut rows = leases.query([reader.number])?;
        while let Some(row) = rows.next()? {
            open.extend(unpack(row.get_ref(0)?.as_blob()?));
        }
    }
    Ok(open)
}

impl Compaction<'_> {
    /// The next entries after a position: their positions and keys.
    fn window(&self, after: i64, last: i64, limit: i64) -> rusqlite::Result<Vec<(i64, Option<String>)>> {
        self.connection
            .prepare_cached(
                "select place, key from dozen_entry where place > ?1 and place <= ?2 order by place limit ?3",
            )?
            .query_map([place(self.stream, after), place(self.stream, last), limit.max(0)], |row| {
                Ok((position_of(row.get(0)?), row.get(1)?))
            })?
            .collect()
    }

    /// The last entry of a key that is known.
    fn latest(&self, key: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("select position from dozen_latest where stream = ?1 and key = ?2")?
            .query_row(params![self.stream, key], |row| row.get(0))
            .optional()
    }

    /// Learns the next entry of a key; gives the one that it replaces.
    fn follow(&self, key: &str, position: i64) -> rusqlite::Result<Option<i64>> {
        let replaced = self.latest(key)?;
        self.connection
            .prepare_cached("insert or replace into dozen_latest values (?1, ?2, ?3)")?
            .execute(params![self.stream, key, position])?;
        Ok(replaced)
    }

    /// Forgets an entry that was replaced, if it is old enough and nobody needs it.
    fn forget(&mut self, position: i64) -> rusqlite::Result<()> {
        if position > self.mark || self.open.contains(&position) {
            return Ok(());
        }
        let length: Option<i64> = self
            .connection
            .prepare_cached("delete from dozen_entry where place = ?1 and at < ?2 returning length(data)")?
            .query_row([place(self.stream, position), self.before], |row| row.get(0))
            .optional()?;
        let Some(length) = length else { return Ok(()) };
        for reader in &self.readers {
            self.connection
                .prepare_cached("delete from dozen_claim where place = ?1")?
                .execute([place(reader.number, position)])?;
        }
        self.gone += 1;
        self.bytes += length;
        Ok(())
    }
}
