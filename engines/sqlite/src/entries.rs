//! Streams and their entries, as the writer changes them.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_store::{Append, Error, Outcome, Start};
use rusqlite::{Connection, OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::rows::{Id, signed, unsigned};
use crate::schema::{OWNER_MAX, POSITION_MAX, place, position_of};

/// What was appended to a stream and is not yet counted in its row. Counted once a group instead of once a message.
#[derive(Default)]
pub(crate) struct Uncounted {
    by_stream: HashMap<i64, Count>,
}

#[derive(Default)]
struct Count {
    entries: i64,
    bytes: i64,
    last: i64,
}

impl Uncounted {
    fn add(&mut self, stream: i64, entries: i64, bytes: usize, last: i64) {
        let count = self.by_stream.entry(stream).or_default();
        count.entries += entries;
        count.bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
        count.last = last;
    }

    /// Brings the rows up to date.
    pub(crate) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (stream, Count { entries, bytes, last }) in self.by_stream.drain() {
            connection
                .prepare_cached(
                    "update dozen_stream set appended = appended + ?2, position = ?3, bytes = bytes + ?4
                     where stream = ?1",
                )?
                .execute([stream, entries, last, bytes])?;
        }
        Ok(())
    }

    /// Forgets what a rolled-back savepoint had appended.
    pub(crate) fn clear(&mut self) {
        self.by_stream.clear();
    }
}

impl Scribe<'_> {
    /// The number of a stream, if there is one of this name.
    pub(crate) fn find_stream(&mut self, name: &Arc<str>) -> Result<Option<i64>, Error> {
        if let Some(&stream) = self.memory.streams.get(name) {
            return Ok(Some(stream));
        }
        let found = self
            .connection
            .prepare_cached("select stream from dozen_stream where name = ?1")
            .and_then(|mut statement| statement.query_row([&**name], |row| row.get(0)).optional())
            .map_err(sql(self))?;
        if let Some(stream) = found {
            self.memory.streams.insert(name.clone(), stream);
        }
        Ok(found)
    }

    /// The number of a stream, made if it is new.
    pub(crate) fn stream(&mut self, name: &Arc<str>) -> Result<i64, Error> {
        if let Some(stream) = self.find_stream(name)? {
            return Ok(stream);
        }
        self.connection
            .execute("insert into dozen_stream (name, appended, position) values (?1, 0, 0)", [&**name])
            .map_err(sql(self))?;
        self.changed = true;
        let stream = self.connection.last_insert_rowid();
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
        let bytes = append.records.iter().map(|record| record.data.len()).sum();
        self.memory.uncounted.add(stream, count, bytes, self.memory.head);
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
}
