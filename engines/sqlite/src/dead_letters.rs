//! Acting on dead letters.

use dozen_store::{Error, Outcome, Record, Revise, Revision, end_of, hint_of};
use rusqlite::{OptionalExtension, params};

use crate::claims::{DROPPED, PARKED, WAITING};
use crate::ops::{Scribe, sql};
use crate::rows::signed;
use crate::schema::place;

impl Scribe<'_> {
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
        let mut touched = 0;
        for at in places {
            touched += u64::from(match &revise.revision {
                Revision::Redrive => self.redrive(at, revise)?,
                Revision::Discard => self.discard(reader, at, revise)?,
                Revision::Edit(record) => self.edit(at, record)?,
            });
        }
        if touched > 0 {
            self.changed = true;
            match revise.revision {
                Revision::Redrive => self.touch(&hint_of(&revise.stream, &revise.reader)),
                Revision::Discard => {
                    self.touch(&hint_of(&revise.stream, &revise.reader));
                    self.touch(&end_of(&revise.stream, &revise.reader));
                }
                Revision::Edit(_) => {}
            }
        }
        Ok(Outcome::Touched(touched))
    }

    fn redrive(&self, at: i64, revise: &Revise) -> Result<bool, Error> {
        self.connection
            .prepare_cached(
                "update dozen_claim set state = ?2, due = ?3, ended = null, attempts = 0
                 where place = ?1 and state = 3",
            )
            .and_then(|mut statement| statement.execute([at, WAITING, revise.now.0]))
            .map(|touched| touched > 0)
            .map_err(sql(self))
    }

    fn discard(&mut self, reader: i64, at: i64, revise: &Revise) -> Result<bool, Error> {
        let key: Option<Option<String>> = self
            .connection
            .prepare_cached(
                "update dozen_claim set state = ?2, ended = ?3 where place = ?1 and state = 3 returning key",
            )
            .and_then(|mut statement| {
                statement.query_row([at, DROPPED, revise.now.0], |row| row.get(0)).optional()
            })
            .map_err(sql(self))?;
        if let Some(Some(key)) = &key {
            self.release_next(reader, key, revise.now)?;
        }
        Ok(key.is_some())
    }

    fn edit(&self, at: i64, record: &Record) -> Result<bool, Error> {
        self.connection
            .prepare_cached(
                "update dozen_claim set kind = ?2, attributes = ?3, data = ?4 where place = ?1 and state = 3",
            )
            .and_then(|mut statement| {
                statement.execute(params![at, record.kind, record.attributes, &record.data[..]])
            })
            .map(|touched| touched > 0)
            .map_err(sql(self))
    }
}
