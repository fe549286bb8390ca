//! Queries, each answered by one statement and so from one snapshot.

use bytes::Bytes;
use dozen_core::Timestamp;
use dozen_store::{
    Answer, ClaimState, ClaimStatus, Entry, Error, Query, ReaderStatus, Record, Sighting, StreamStatus,
    TableRow,
};
use tokio_postgres::Row;

use crate::call::{Param, params, rows};
use crate::error::{Doing, translate};
use crate::rows::{self, signed, unsigned};
use crate::shared::Shared;

/// The most that one query gives, whatever it asks for.
const LIMIT_MAX: usize = 10_000;

fn capped(limit: usize) -> i32 {
    i32::try_from(limit.min(LIMIT_MAX)).unwrap_or(i32::MAX)
}

/// Answers `query`.
pub(crate) async fn answer(shared: &Shared, query: &Query) -> Result<Answer, Error> {
    let loan = shared.pool.lend().await?;
    let ask = async |sql: &str, params: &[Param<'_>]| {
        let sql = shared.sql(sql);
        rows(&loan, &sql, params).await.map_err(|error| translate(shared.location(), Doing::Working, &error))
    };
    Ok(match query {
        Query::Read { stream, after, limit } => {
            let sql = "select * from dozen.read_entries($1, $2, $3, false)";
            let found =
                ask(sql, &params![&**stream => TEXT, signed(*after) => INT8, capped(*limit) => INT4]).await?;
            Answer::Entries(found.iter().map(entry).collect())
        }
        Query::Tail { stream, limit } => {
            let sql = "select * from dozen.read_entries($1, 0, $2, true)";
            let found = ask(sql, &params![&**stream => TEXT, capped(*limit) => INT4]).await?;
            Answer::Entries(found.iter().rev().map(entry).collect())
        }
        Query::Find { id } => {
            let found = ask("select * from dozen.find($1)", &params![*id => TEXT]).await?;
            Answer::Sightings(sightings(&found))
        }
        Query::Streams { prefix } => {
            let found = ask("select * from dozen.streams($1)", &params![*prefix => TEXT]).await?;
            let stream = |row: &Row| StreamStatus {
                stream: row.get(0),
                appended: unsigned(row.get(1)),
                position: unsigned(row.get(2)),
                bytes: unsigned(row.get(3)),
            };
            Answer::Streams(found.iter().map(stream).collect())
        }
        Query::Readers { prefix } => {
            let found = ask("select * from dozen.readers($1)", &params![*prefix => TEXT]).await?;
            Answer::Readers(found.iter().map(reader).collect())
        }
        Query::Standing { stream, reader } => {
            let sql = "select dozen.standing_of($1, $2)";
            let found = ask(sql, &params![&**stream => TEXT, &**reader => TEXT]).await?;
            Answer::Standing(found.first().map(|row| unsigned(row.get(0))))
        }
        Query::Claims { stream, reader, state, after, limit } => {
            let sql = "select * from dozen.claims($1, $2, $3, $4, $5)";
            let state = i32::try_from(state.code()).unwrap_or(0);
            let params = params![
                &**stream => TEXT, &**reader => TEXT, state => INT4, signed(*after) => INT8, capped(*limit) => INT4
            ];
            Answer::Claims(ask(sql, &params).await?.iter().map(claim).collect())
        }
        Query::Get { space, key, now } => {
            let sql = "select key, value, version, expires from dozen.record
                       where space = $1 and key = $2 and coalesce(expires > $3, true)";
            let found = ask(sql, &params![&**space => TEXT, *key => TEXT, now.0 => INT8]).await?;
            Answer::TableRows(found.iter().map(table_row).collect())
        }
        Query::List { space, after, limit, now } => {
            let sql = "select key, value, version, expires from dozen.record
                       where space = $1 and key > $2 and coalesce(expires > $3, true) order by key limit $4";
            let limit = i64::from(capped(*limit));
            let params = params![&**space => TEXT, *after => TEXT, now.0 => INT8, limit => INT8];
            Answer::TableRows(ask(sql, &params).await?.iter().map(table_row).collect())
        }
        Query::Select(statement) => Answer::Rows(rows::select(shared.location(), &loan, statement).await?),
    })
}

/// The columns position, at, due, id, kind, key, attributes, data.
fn entry(row: &Row) -> Entry {
    Entry {
        position: unsigned(row.get(0)),
        at: Timestamp(row.get(1)),
        due: row.get::<_, Option<i64>>(2).map(Timestamp),
        record: Record {
            id: row.get(3),
            kind: row.get(4),
            key: row.get(5),
            attributes: row.get(6),
            data: Bytes::from(row.get::<_, Vec<u8>>(7)),
        },
    }
}

fn table_row(row: &Row) -> TableRow {
    TableRow {
        key: row.get(0),
        value: row.get(1),
        version: unsigned(row.get(2)),
        expires: row.get::<_, Option<i64>>(3).map(Timestamp),
    }
}

fn reader(row: &Row) -> ReaderStatus {
    let count = |at: usize| unsigned(row.get(at));
    ReaderStatus {
        stream: row.get(0),
        reader: row.get(1),
        position: count(2),
        fresh: count(3),
        leased: count(4),
        waiting: count(5),
        held: count(6),
        parked: count(7),
        parked_keys: count(8),
        oldest: row.get::<_, Option<i64>>(9).map(Timestamp),
        paused: row.get(10),
    }
}

fn moment(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<i64>>(column).map(Timestamp)
}

/// A claim, from columns of these names.
fn status(row: &Row) -> ClaimStatus {
    let errors: Option<&str> = row.get("errors");
    ClaimStatus {
        position: unsigned(row.get("position")),
        state: ClaimState::from_code(i64::from(row.get::<_, i32>("state"))).unwrap_or(ClaimState::Dropped),
        attempts: u32::try_from(row.get::<_, i32>("attempts")).unwrap_or(0),
        due: moment(row, "due"),
        claimed: moment(row, "claimed"),
        ended: moment(row, "ended"),
        key: row.get("key"),
        errors: errors.and_then(|errors| serde_json::from_str(errors).ok()).unwrap_or_default(),
        edited: row.get("edited"),
    }
}

/// An entry, from columns of these names.
fn named_entry(row: &Row) -> Entry {
    Entry {
        position: unsigned(row.get("position")),
        at: Timestamp(row.get("at")),
        due: moment(row, "entry_due"),
        record: Record {
            id: row.get("id"),
            kind: row.get("kind"),
            key: row.get("key"),
            attributes: row.get("attributes"),
            data: Bytes::from(row.get::<_, Vec<u8>>("data")),
        },
    }
}

fn claim(row: &Row) -> (ClaimStatus, Option<Entry>) {
    let there: bool = row.get("there");
    (status(row), there.then(|| named_entry(row)))
}

/// Rows of one entry follow each other, one for each reader.
fn sightings(found: &[Row]) -> Vec<Sighting> {
    let mut sightings: Vec<Sighting> = Vec::new();
    for row in found {
        let position = unsigned(row.get("position"));
        if sightings.last().is_none_or(|last| last.entry.position != position) {
            sightings.push(Sighting {
                stream: row.get("stream"),
                entry: named_entry(row),
                readers: Vec::new(),
            });
        }
        let (Some(last), Some(reader)) = (sightings.last_mut(), row.get::<_, Option<String>>("reader"))
        else {
            continue;
        };
        let claim = row.get::<_, Option<i32>>("state").is_some().then(|| status(row));
        last.readers.push((reader, claim));
    }
    sightings
}
