//! Queries, each answered from one snapshot.

use std::path::Path;

use dozen_core::Timestamp;
use dozen_store::{Answer, ClaimStatus, Entry, Error, Query, ReaderStatus, Sighting, StreamStatus, TableRow};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::translate;
use crate::rows::{self, CLAIM, ENTRY, Id, signed, unsigned};
use crate::schema::{POSITION_MAX, place};

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
        Query::Find { id } => find(connection, id).map(Answer::Sightings),
        Query::Streams { prefix } => {
            let streams = connection
                .prepare_cached(
                    "select name, appended, position from dozen_stream where substr(name, 1, length(?1)) = ?1
                     order by name",
                )?
                .query_map([prefix], |row| {
                    Ok(StreamStatus {
                        stream: row.get(0)?,
                        appended: unsigned(row.get(1)?),
                        position: unsigned(row.get(2)?),
                        bytes: 0,
                    })
                })?
                .collect::<Result<_, _>>()?;
            Ok(Answer::Streams(streams))
        }
        Query::Readers { prefix } => readers(connection, prefix).map(Answer::Readers),
        Query::Standing { stream, reader } => {
            let standing = connection
                .prepare_cached(
                    "select r.position from dozen_reader r join dozen_stream s using (stream)
                     where s.name = ?1 and r.name = ?2",
                )?
                .query_row([&**stream, &**reader], |row| row.get(0))
                .optional()?;
            Ok(Answer::Standing(standing.map(unsigned)))
        }
        Query::Claims { stream, reader, state, after, limit } => {
            let stream = stream_number(connection, stream)?;
            let Some(reader) = reader_number(connection, stream, reader)? else {
                return Ok(Answer::Claims(Vec::new()));
            };
            let claims: Vec<ClaimStatus> = connection
                .prepare_cached(&format!(
                    "select {CLAIM} from dozen_claim where place > ?1 and place <= ?2 and state = ?3 order by place
                     limit ?4"
                ))?
                .query_map(
                    [place(reader, signed(*after)), place(reader, POSITION_MAX), state.code(), capped(*limit)],
                    rows::claim,
                )?
                .collect::<Result<_, _>>()?;
            let mut entry =
                connection.prepare_cached(&format!("select {ENTRY} from dozen_entry where place = ?1"))?;
            let mut answer = Vec::with_capacity(claims.len());
            for claim in claims {
                let at = place(stream, signed(claim.position));
                let entry = entry.query_row([at], rows::entry).optional()?;
                answer.push((claim, entry));
            }
            Ok(Answer::Claims(answer))
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

fn reader_number(connection: &Connection, stream: i64, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("select reader from dozen_reader where stream = ?1 and name = ?2")?
        .query_row(params![stream, name], |row| row.get(0))
        .optional()
}

/// A message in every stream that it is in, with what each reader has made of it.
fn find(connection: &Connection, id: &str) -> rusqlite::Result<Vec<Sighting>> {
    let found: Vec<(String, i64, Entry)> = connection
        .prepare_cached(&format!(
            "select {ENTRY}, name, stream from dozen_entry join dozen_stream on stream = place >> 44
             where id = ?1 order by place & {POSITION_MAX} limit 100"
        ))?
        .query_map([Id::of(id)], |row| Ok((row.get(8)?, row.get(9)?, rows::entry(row)?)))?
        .collect::<Result<_, _>>()?;
    let mut sightings = Vec::with_capacity(found.len());
    for (stream, number, entry) in found {
        let readers: Vec<(i64, String)> = connection
            .prepare_cached(
                "select reader, name from dozen_reader where stream = ?1 order by name limit 10000",
            )?
            .query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut claim =
            connection.prepare_cached(&format!("select {CLAIM} from dozen_claim where place = ?1"))?;
        let mut seen = Vec::with_capacity(readers.len());
        for (reader, name) in readers {
            let at = place(reader, signed(entry.position));
            seen.push((name, claim.query_row([at], rows::claim).optional()?));
        }
        sightings.push(Sighting { stream, entry, readers: seen });
    }
    Ok(sightings)
}

fn readers(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<ReaderStatus>> {
    let found: Vec<(i64, i64, ReaderStatus)> = connection
        .prepare_cached(
            "select reader, stream, s.name, r.name, r.position, appended - taken
             from dozen_reader r join dozen_stream s using (stream)
             where substr(s.name, 1, length(?1)) = ?1 order by s.name, r.name",
        )?
        .query_map([prefix], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                ReaderStatus {
                    stream: row.get(2)?,
                    reader: row.get(3)?,
                    position: unsigned(row.get(4)?),
                    fresh: unsigned(row.get(5)?),
                    leased: 0,
                    waiting: 0,
                    held: 0,
                    parked: 0,
                    parked_keys: 0,
                    paused: false,
                    oldest: None,
                },
            ))
        })?
        .collect::<Result<_, _>>()?;
    let mut count = connection.prepare_cached(
        "select state, count(*), min(place) from dozen_claim where reader = ?1 and due is not null group by state
         union all
         select state, count(*), min(place) from dozen_claim where reader = ?1 and due is null and state < 10
         group by state",
    )?;
    let mut fresh =
        connection.prepare_cached("select place from dozen_entry where place > ?1 order by place limit 1")?;
    let mut at = connection.prepare_cached("select at from dozen_entry where place = ?1")?;
    let mut answer = Vec::with_capacity(found.len());
    for (reader, stream, mut status) in found {
        let mut oldest: Option<i64> = None;
        let mut counted = count.query([reader])?;
        while let Some(row) = counted.next()? {
            let (state, number, first): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let number = unsigned(number);
            match state {
                0 => status.leased = number,
                1 => status.waiting = number,
                2 => status.held = number,
                _ => status.parked = number,
            }
            if state != 3 {
                let first = crate::schema::position_of(first);
                oldest = Some(oldest.map_or(first, |oldest| oldest.min(first)));
            }
        }
        if oldest.is_none() && status.fresh > 0 {
            oldest = fresh
                .query_row([place(stream, signed(status.position))], |row| row.get(0))
                .optional()?
                .map(crate::schema::position_of);
        }
        if let Some(position) = oldest {
            status.oldest =
                at.query_row([place(stream, position)], |row| row.get(0)).optional()?.map(Timestamp);
        }
        answer.push(status);
    }
    Ok(answer)
}
