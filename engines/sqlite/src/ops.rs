//! Operations, as the writer does them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use dozen_store::{Error, Expect, Op, Outcome, Put, Remove};
use rusqlite::{Connection, OptionalExtension, params};

use crate::entries::Uncounted;
use crate::error::translate;
use crate::rows;

/// What the writer remembers between groups. All of it can be read again from the file.
#[derive(Default)]
pub(crate) struct Memory {
    /// The last position given.
    pub(crate) head: i64,
    /// The numbers of streams.
    pub(crate) streams: HashMap<Arc<str>, i64>,
    /// The numbers of readers.
    pub(crate) readers: HashMap<(Arc<str>, Arc<str>), i64>,
    /// The latest moment at which each reader claimed.
    pub(crate) clocks: HashMap<i64, i64>,
    /// What is appended and not counted.
    pub(crate) uncounted: Uncounted,
    /// The last fence given.
    pub(crate) fence: i64,
    /// The last version given to a row.
    pub(crate) version: i64,
    /// The day up to which old marks are gone.
    pub(crate) swept: i64,
    /// The head that the file has at this point of the transaction; -1 when that is not known.
    pub(crate) head_written: i64,
}

/// Does the operations of one caller.
pub(crate) struct Scribe<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) path: &'a Path,
    pub(crate) memory: &'a mut Memory,
    /// Streams whose readers should look again once the group is committed.
    pub(crate) touched: &'a mut HashSet<Arc<str>>,
    /// Whether anything was written.
    pub(crate) changed: bool,
}

/// Turns an error of SQLite, met by `scribe`, into one of the store.
pub(crate) fn sql<'a>(scribe: &Scribe<'a>) -> impl Fn(rusqlite::Error) -> Error + use<'a> {
    let path = scribe.path;
    move |error| translate(path, &error)
}

impl Scribe<'_> {
    /// Notes that readers of `stream` should look again.
    pub(crate) fn touch(&mut self, stream: &Arc<str>) {
        if !self.touched.contains(stream) {
            self.touched.insert(stream.clone());
        }
    }

    /// Does one operation.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<Outcome, Error> {
        match op {
            Op::Append(append) => self.append(append),
            Op::OpenReader(open) => self.open_reader(open),
            Op::CloseReader(close) => self.close_reader(close),
            Op::Seek(seek) => self.seek(seek),
            Op::Claim(claim) => self.claim(claim),
            Op::Settle(settle) => self.settle(settle),
            Op::Extend(extend) => self.extend(extend),
            Op::Revise(revise) => self.revise(revise),
            Op::Trim(trim) => self.trim(trim),
            Op::Compact(compact) => self.compact(compact),
            Op::Pause(pause) => self.pause(pause),
            Op::Put(put) => self.put(put).map(Outcome::Put),
            Op::Require(put) => match self.put(put)? {
                None => Err(Error::Unexpected { space: put.space.to_string(), key: put.key.clone() }),
                version => Ok(Outcome::Put(version)),
            },
            Op::Remove(remove) => self.remove(remove),
            Op::Mark(mark) => self.mark(mark),
            Op::Execute(statement) => {
                self.own_sql(|connection| rows::execute(connection, statement)).map(Outcome::Touched)
            }
            // `insert … returning` is a query too.
            Op::Select(statement) => {
                self.own_sql(|connection| rows::select(connection, statement)).map(Outcome::Rows)
            }
        }
    }

    /// Writes a row; gives its version, or `None` when what was expected was not there.
    fn put(&mut self, put: &Put) -> Result<Option<u64>, Error> {
        let found: Option<(i64, Option<i64>)> = self
            .connection
            .prepare_cached("select version, expires from dozen_record where space = ?1 and key = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![&*put.space, put.key], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(sql(self))?;
        let live = found.filter(|(_, expires)| expires.is_none_or(|expires| expires > put.now.0));
        let as_expected = match (put.expect, live) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version), Some((found, _))) => rows::unsigned(found) == version,
            (Expect::Absent, Some(_)) | (Expect::Version(_), None) => false,
        };
        if !as_expected {
            return Ok(None);
        }
        let version = self.next_version();
        self.connection
            .prepare_cached("insert or replace into dozen_record (space, key, version, value, expires) values (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut statement| {
                let expires = put.expires.map(|expires| expires.0);
                statement.execute(params![&*put.space, put.key, version, put.value, expires])
            })
            .map_err(sql(self))?;
        self.changed = true;
        self.expire(put.now.0)?;
        Ok(Some(rows::unsigned(version)))
    }

    /// Clears a few rows that have expired: each write pays for a little of the sweeping.
    fn expire(&mut self, now: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "delete from dozen_record where (space, key) in
                 (select space, key from dozen_record where expires is not null and expires <= ?1 limit 4)",
            )
            .and_then(|mut statement| statement.execute([now]))
            .map_err(sql(self))?;
        Ok(())
    }

    fn remove(&mut self, remove: &Remove) -> Result<Outcome, Error> {
        let version = match remove.expect {
            Expect::Any => None,
            Expect::Version(version) => Some(rows::signed_any(version)),
            Expect::Absent => {
                return Err(Error::Invalid("a removal cannot expect that nothing is there".into()));
            }
        };
        let gone = self
            .connection
            .prepare_cached(
                "delete from dozen_record where space = ?1 and key = ?2 and (?3 is null or version = ?3)",
            )
            .and_then(|mut statement| statement.execute(params![&*remove.space, remove.key, version]))
            .map_err(sql(self))?;
        self.changed |= gone > 0;
        Ok(Outcome::Touched(gone as u64))
    }

    /// A number above all that rows of this file have had, whoever wrote them: the group's, and its own in there.
    fn next_version(&mut self) -> i64 {
        self.memory.version += 1;
        self.memory.version
    }

    /// A number that no other claim of this file has or will have.
    pub(crate) fn next_fence(&mut self) -> i64 {
        self.memory.fence += 1;
        self.memory.fence
    }
}
