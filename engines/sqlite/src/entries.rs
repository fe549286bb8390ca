//! Streams and their entries, as the writer changes them.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_store::{Append, Error, Outcome, Start, Trim};
use rusqlite::{Connection, OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::rows::{Id, signed, unsigned};
use crate::schema::{OWNER_MAX, POSITION_MAX, place, position_of};

/// What was appended to a stream and is not yet counted in its row. Counted once a group instead of once a message.
#[derive(Default)]
pub(crate) struct Uncounted {
    by_stream: HashMap<i64, (i64, i64)>,
}

impl Uncounted {
    fn add(&mut self, stream: i64, entries: i64, last: i64) {
        let count = self.by_stream.entry(stream).or_insert((0, 0));
        count.0 += entries;
        count.1 = last;
    }

    /// Brings the rows up to date.
    pub(crate) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (stream, (entries, last)) in self.by_stream.drain() {
            connection
                .prepare_cached(
                    "update dozen_stream set appended = appended + ?2, position = ?3 where stream = ?1",
                )?
                .execute([stream, entries, last])?;
        }
        Ok(())
    }

    /// Forgets what a rolled-back savepoint had appended.
    pub(crate) fn clear(&mut self) {
        self.by_stream.clear();
    }
}

impl Scribe<'_> {
    /// The number of a stream, made if it is new.
    pub(crate) fn stream(&mut self, name: &Arc<str>) -> Result<i64, Error> {
        if let Some(&stream) = self.memory.streams.get(name) {
            return Ok(stream);
        }
        let find = || {
            self.connection
                .prepare_cached("select stream from dozen_stream where name = ?1")?
                .query_row([&**name], |row| row.get(0))
                .optional()
        };
        let stream = match find().map_err(sql(self))? {
            Some(stream) => stream,
            None => {
                self.connection
                    .execute(
                        "insert into dozen_stream (name, appended, position) values (?1, 0, 0)",
                        [&**name],
                    )
                    .map_err(sql(self))?;
                self.changed = true;
                self.connection.last_insert_rowid()
            }
        };
        if stream > OWNER_MAX {
            return Err(Error::Invalid(format!("a store holds {OWNER_MAX} streams at most")));
        }
        self.memory.streams.insert(name.clone(), stream);
        Ok(stream)
    }

    pub(crate) fn append(&mut self, append: &Append) -> Result<Outcome, Error> {
        if append.records.is_empty() {
            return Err(Error::Invalid("an append needs a message".into()));
        }
        let stream = self.stream(&append.stream)?;
        let first = self.memory.head + 1;
        let mut insert = self
            .connection
            .prepare_cached("insert into dozen_entry values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
            .map_err(sql(self))?;
        for record in &append.records {
            if self.memory.head == POSITION_MAX {
                return Err(Error::Invalid("the store has used up its positions".into()));
            }
            self.memory.head += 1;
            insert
                .execute(params![
                    place(stream, self.memory.head),
                    Id::of(&record.id),
                    record.kind,
                    record.key,
                    append.at.0,
                    append.due.map(|due| due.0),
                    record.attributes,
                    &record.data[..],
                ])
                .map_err(|error| crate::error::translate(self.path, &error))?;
        }
        self.changed = true;
        let count = i64::try_from(append.records.len()).unwrap_or(i64::MAX);
        self.memory.uncounted.add(stream, count, self.memory.head);
        self.touch(&append.stream);
        Ok(Outcome::Appended { first: unsigned(first), last: unsigned(self.memory.head) })
    }

    /// Where a reader that starts at `start` stands: its position, and how many entries lie before it.
    pub(crate) fn standing(&mut self, stream: i64, start: Start) -> Result<(i64, i64), Error> {
        self.memory.uncounted.flush(self.connection).map_err(sql(self))?;
        let number = |text: &str, params: &[i64]| -> Result<i64, Error> {
            self.connection
                .prepare_cached(text)
                .and_then(|mut statement| {
                    statement
                        .query_row(rusqlite::params_from_iter(params), |row| row.get::<_, Option<i64>>(0))
                })
                .map(Option::unwrap_or_default)
                .map_err(sql(self))
        };
        let appended = number("select appended from dozen_stream where stream = ?1", &[stream])?;
        let position = match start {
            Start::Latest => return Ok((self.memory.head, appended)),
            Start::Earliest => 0,
            Start::After(position) => signed(position),
            Start::At(Timestamp(at)) => {
                let first = number(
                    "select min(place) from dozen_entry where place between ?1 and ?2 and at >= ?3",
                    &[place(stream, 0), place(stream, POSITION_MAX), at],
                )?;
                if first == 0 {
                    return Ok((self.memory.head, appended));
                }
                position_of(first) - 1
            }
        };
        let after = number(
            "select count(*) from dozen_entry where place > ?1 and place <= ?2",
            &[place(stream, position), place(stream, POSITION_MAX)],
        )?;
        Ok((position, appended - after))
    }

    /// Forgets old entries up to the first that some reader still needs.
    pub(crate) fn trim(&mut self, trim: &Trim) -> Result<Outcome, Error> {
        let stream = self.stream(&trim.stream)?;
        // Open claims at the beginning of a reader's window are few (they are what it works on), unless dead letters
        // gather; then this is the price of keeping them.
        let needed: i64 = self
            .connection
            .prepare_cached(
                "select coalesce(min(least), ?2) from (
                     select min(position, coalesce(
                         (select min(place) - 1 - (reader << 44) from dozen_claim
                          where reader = r.reader and due is not null), ?2), coalesce(
                         (select min(place) - 1 - (reader << 44) from dozen_claim
                          where reader = r.reader and due is null and state < 10), ?2)) as least
                     from dozen_reader r where stream = ?1)",
            )
            .and_then(|mut statement| statement.query_row([stream, POSITION_MAX], |row| row.get(0)))
            .map_err(sql(self))?;
        let last: Option<i64> = self
            .connection
            .prepare_cached(
                "select max(place) from (select place from dozen_entry where place between ?1 and ?2 and at < ?3
                 order by place limit ?4)",
            )
            .and_then(|mut statement| {
                let limit = i64::try_from(trim.limit).unwrap_or(i64::MAX);
                statement.query_row(
                    [place(stream, 0), place(stream, needed), trim.before.0, limit],
                    |row| row.get(0),
                )
            })
            .map_err(sql(self))?;
        let Some(last) = last else { return Ok(Outcome::Touched(0)) };
        let run = || -> rusqlite::Result<usize> {
            let gone = self
                .connection
                .prepare_cached("delete from dozen_entry where place between ?1 and ?2 and at < ?3")?
                .execute([place(stream, 0), last, trim.before.0])?;
            let readers: Vec<i64> = self
                .connection
                .prepare_cached("select reader from dozen_reader where stream = ?1")?
                .query_map([stream], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for reader in readers {
                self.connection
                    .prepare_cached("delete from dozen_claim where place between ?1 and ?2 and state >= 10")?
                    .execute([place(reader, 0), place(reader, position_of(last))])?;
            }
            Ok(gone)
        };
        let gone = run().map_err(sql(self))?;
        self.changed |= gone > 0;
        Ok(Outcome::Touched(gone as u64))
    }
}
