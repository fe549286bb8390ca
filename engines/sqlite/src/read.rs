//! Queries, each answered from one snapshot.

use std::path::Path;

use dozen_core::Timestamp;
use dozen_store::{Answer, Entry, Error, Query, StreamStatus, TableRow};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::translate;
use crate::rows::{self, ENTRY, signed, unsigned};
use crate::schema::{POSITION_MAX, place};
use crate::standing::{self, Page};

/// The most that one query gives, whatever it asks for.
const LIMIT_MAX: usize = 10_000;

fn capped(limit: usize) -> i64 {
    i64::try_from(limit.min(LIMIT_MAX)).unwrap_or(i64::MAX)
}

/// Answers `query`.
pub(crate) fn answer(connection: &Connection, path: &Path, query: &Query) -> Result<Answer, Error> {
    if let Query::Select(statement) = query {
        return rows::select(connection, statement).map(Answer::Rows);
    }
    // Several statements may be needed; a deferred transaction makes them one snapshot, and its drop ends it.
    let tx = connection.unchecked_transaction().map_err(|error| translate(path, &error))?;
    ask(&tx, query).map_err(|error| translate(path, &error))
}

fn ask(connection: &Connection, query: &Query) -> rusqlite::Result<Answer> {
    match query {
        Query::Read { stream, after, limit } => {
            let stream = stream_number(connection, stream)?;
            let entries = connection
                .prepare_cached(&format!(
                    "select {ENTRY} from dozen_entry where place > ?1 and place <= ?2 order by place limit ?3"
                ))?
                .query_map(
                    [place(stream, signed(*after)), place(stream, POSITION_MAX), capped(*limit)],
                    rows::entry,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Answer::Entries(entries))
        }
        Query::Tail { stream, limit } => {
            let stream = stream_number(connection, stream)?;
            let mut entries: Vec<Entry> = connection
                .prepare_cached(&format!(
                    "select {ENTRY} from dozen_entry where place between ?1 and ?2 order by place desc limit ?3"
                ))?
                .query_map([place(stream, 0), place(stream, POSITION_MAX), capped(*limit)], rows::entry)?
                .collect::<Result<_, _>>()?;
            entries.reverse();
            Ok(Answer::Entries(entries))
        }
        Query::Find { id } => standing::find(connection, id).map(Answer::Sightings),
        Query::Streams { prefix } => {
            let streams = connection
                .prepare_cached(
                    "select name, appended, position, bytes from dozen_stream
                     where stream > 0 and substr(name, 1, length(?1)) = ?1 order by name",
                )?
                .query_map([prefix], |row| {
                    Ok(StreamStatus {
                        stream: row.get(0)?,
                        appended: unsigned(row.get(1)?),
                        position: unsigned(row.get(2)?),
                        bytes: unsigned(row.get(3)?),
                    })
                })?
                .collect::<Result<_, _>>()?;
            Ok(Answer::Streams(streams))
        }
        Query::Readers { prefix } => standing::readers(connection, prefix).map(Answer::Readers),
        Query::Standing { stream, reader } => {
            let stream = stream_number(connection, stream)?;
            Ok(Answer::Standing(reader_at(connection, stream, reader)?.map(|(_, mark)| unsigned(mark))))
        }
        Query::Claims { stream, reader, state, after, limit } => {
            let stream = stream_number(connection, stream)?;
            let Some((reader, _)) = reader_at(connection, stream, reader)? else {
                return Ok(Answer::Claims(Vec::new()));
            };
            let page = Page { state: *state, after: signed(*after), limit: capped(*limit) };
            standing::claims(connection, stream, reader, &page).map(Answer::Claims)
        }
        Query::Get { space, key, now } => {
            let row = connection
                .prepare_cached(
                    "select key, value, version, expires from dozen_record
                     where space = ?1 and key = ?2 and (expires is null or expires > ?3)",
                )?
                .query_row(params![&**space, key, now.0], table_row)
                .optional()?;
            Ok(Answer::TableRows(row.into_iter().collect()))
        }
        Query::List { space, after, limit, now } => {
            let rows = connection
                .prepare_cached(
                    "select key, value, version, expires from dozen_record
                     where space = ?1 and key > ?2 and (expires is null or expires > ?3) order by key limit ?4",
                )?
                .query_map(params![&**space, after, now.0, capped(*limit)], table_row)?
                .collect::<Result<_, _>>()?;
            Ok(Answer::TableRows(rows))
        }
        Query::Select(_) => Ok(Answer::Rows(Vec::new())), // answered before
    }
}

fn table_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<TableRow> {
    Ok(TableRow {
        key: row.get(0)?,
        value: row.get(1)?,
        version: unsigned(row.get(2)?),
        expires: row.get::<_, Option<i64>>(3)?.map(Timestamp),
    })
}

/// The number of a stream; 0, which none has, for one that does not exist.
fn stream_number(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let found = connection
        .prepare_cached("select stream from dozen_stream where name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// A reader's number and its high-water mark.
fn reader_at(connection: &Connection, stream: i64, name: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached("select reader, position from dozen_reader where stream = ?1 and name = ?2")?
        .query_row(params![stream, name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}
