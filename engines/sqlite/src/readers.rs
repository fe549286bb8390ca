//! Readers: who reads a stream, and how far it has come. What a reader has in hand stands in `claims`.

use std::sync::Arc;

use dozen_store::{CloseReader, Error, OpenReader, Outcome, Pause, Seek, hint_of};
use rusqlite::{OptionalExtension, params};

use crate::ops::{Scribe, sql};
use crate::schema::{OWNER_MAX, POSITION_MAX, place};

/// What a reader's row says.
pub(crate) struct Reader {
    pub(crate) stream: i64,
    pub(crate) reader: i64,
    pub(crate) position: i64,
    pub(crate) paused: bool,
}

impl Scribe<'_> {
    fn find_reader(&mut self, stream_name: &Arc<str>, name: &Arc<str>) -> Result<Option<Reader>, Error> {
        let stream = self.stream(stream_name)?;
        self.connection
            .prepare_cached(
                "select reader, position, paused from dozen_reader where stream = ?1 and name = ?2",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![stream, &**name], |row| {
                        Ok(Reader { stream, reader: row.get(0)?, position: row.get(1)?, paused: row.get(2)? })
                    })
                    .optional()
            })
            .map_err(sql(self))
    }

    pub(crate) fn reader(&mut self, stream: &Arc<str>, name: &Arc<str>) -> Result<Reader, Error> {
        self.find_reader(stream, name)?
            .ok_or_else(|| Error::NoReader { stream: stream.to_string(), reader: name.to_string() })
    }

    pub(crate) fn open_reader(&mut self, open: &OpenReader) -> Result<Outcome, Error> {
        if self.find_reader(&open.stream, &open.reader)?.is_some() {
            return Ok(Outcome::Opened(false));
        }
        let stream = self.stream(&open.stream)?;
        let (position, taken) = self.standing(stream, open.start)?;
        self.connection
            .execute(
                "insert into dozen_reader (stream, name, position, taken) values (?1, ?2, ?3, ?4)",
                params![stream, &*open.reader, position, taken],
            )
            .map_err(sql(self))?;
        if self.connection.last_insert_rowid() > OWNER_MAX {
            return Err(Error::Invalid(format!("a store holds {OWNER_MAX} readers at most")));
        }
        self.changed = true;
        Ok(Outcome::Opened(true))
    }

    pub(crate) fn close_reader(&mut self, close: &CloseReader) -> Result<Outcome, Error> {
        let Some(Reader { reader, .. }) = self.find_reader(&close.stream, &close.reader)? else {
            return Ok(Outcome::Touched(0));
        };
        let run = || {
            self.connection.execute(
                "delete from dozen_claim where place between ?1 and ?2",
                [place(reader, 0), place(reader, POSITION_MAX)],
            )?;
            self.connection.execute("delete from dozen_lease where reader = ?1", [reader])?;
            self.connection.execute("delete from dozen_reader where reader = ?1", [reader])
        };
        run().map_err(sql(self))?;
        // Another process may still remember the number, and it may be given again; a claim's fence tells them apart.
        self.memory.readers.remove(&(close.stream.clone(), close.reader.clone()));
        self.changed = true;
        Ok(Outcome::Touched(1))
    }

    pub(crate) fn seek(&mut self, seek: &Seek) -> Result<Outcome, Error> {
        let Reader { stream, reader, .. } = self.reader(&seek.stream, &seek.reader)?;
        let (position, taken) = self.standing(stream, seek.start)?;
        let run = || {
            self.connection.execute(
                "delete from dozen_claim where place between ?1 and ?2 and (state < 10 or place > ?3)",
                [place(reader, 0), place(reader, POSITION_MAX), place(reader, position)],
            )?;
            self.connection.execute("delete from dozen_lease where reader = ?1", [reader])?;
            self.connection.execute(
                "update dozen_reader set position = ?2, taken = ?3 where reader = ?1",
                [reader, position, taken],
            )
        };
        run().map_err(sql(self))?;
        self.changed = true;
        self.touch(&hint_of(&seek.stream, &seek.reader));
        Ok(Outcome::Touched(1))
    }

    pub(crate) fn pause(&mut self, pause: &Pause) -> Result<Outcome, Error> {
        let reader = self.reader_number(&pause.stream, &pause.reader)?;
        let touched = self
            .connection
            .prepare_cached("update dozen_reader set paused = ?2 where reader = ?1")
            .and_then(|mut statement| statement.execute(params![reader, pause.paused]))
            .map_err(sql(self))?;
        self.changed = true;
        self.touch(&hint_of(&pause.stream, &pause.reader));
        Ok(Outcome::Touched(touched as u64))
    }

    /// The number of a reader, which never changes; its position does, and is always read anew.
    pub(crate) fn reader_number(&mut self, stream: &Arc<str>, name: &Arc<str>) -> Result<i64, Error> {
        let known = (stream.clone(), name.clone());
        if let Some(&reader) = self.memory.readers.get(&known) {
            return Ok(reader);
        }
        let reader = self.reader(stream, name)?.reader;
        self.memory.readers.insert(known, reader);
        Ok(reader)
    }
}
