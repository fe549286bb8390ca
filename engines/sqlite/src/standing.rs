//! Queries about readers: how they stand, and what they have of a message. What is leased together stands in the rows of
//! its batches, everything else in claims of its own.

use dozen_core::Timestamp;
use dozen_store::{ClaimState, ClaimStatus, Entry, ReaderStatus, Sighting};
use rusqlite::{Connection, OptionalExtension};

use crate::leases::unpack;
use crate::rows::{self, CLAIM, EDIT, ENTRY, Id, signed, unsigned};
use crate::schema::{POSITION_MAX, place, position_of};

/// Some of a reader's claims.
pub(crate) struct Page {
    pub(crate) state: ClaimState,
    pub(crate) after: i64,
    pub(crate) limit: i64,
}

/// The claims of a reader on a page, with their entries as it has them.
pub(crate) fn claims(
    connection: &Connection,
    stream: i64,
    reader: i64,
    page: &Page,
) -> rusqlite::Result<Vec<(ClaimStatus, Option<Entry>)>> {
    // Among millions that are finished, the few that are not are found by the indexes that hold nothing else.
    let source = match page.state {
        ClaimState::Leased | ClaimState::Waiting => {
            "dozen_claim indexed by dozen_claim_due where reader = ?1 and due is not null"
        }
        ClaimState::Held | ClaimState::Parked => {
            "dozen_claim indexed by dozen_claim_stuck where reader = ?1 and due is null and state < 10"
        }
        ClaimState::Done | ClaimState::Dropped => "dozen_claim where reader = ?1 and place <= ?5",
    };
    let mut claims: Vec<ClaimStatus> = connection
        .prepare_cached(&format!(
            "select {CLAIM} from {source} and state = ?2 and place > ?3 and place <= ?5 order by place limit ?4"
        ))?
        .query_map(
            [reader, page.state.code(), place(reader, page.after), page.limit, place(reader, POSITION_MAX)],
            rows::claim,
        )?
        .collect::<Result<_, _>>()?;
    if page.state == ClaimState::Leased {
        claims.extend(leased(connection, reader, page.after, POSITION_MAX)?);
        claims.sort_by_key(|claim| claim.position);
        claims.truncate(usize::try_from(page.limit).unwrap_or(0));
    }
    let mut entry =
        connection.prepare_cached(&format!("select {ENTRY} from dozen_entry where place = ?1"))?;
    let mut edit = connection.prepare_cached(&format!("select {EDIT} from dozen_claim where place = ?1"))?;
    let mut answer = Vec::with_capacity(claims.len());
    for claim in claims {
        let position = signed(claim.position);
        let mut entry = entry.query_row([place(stream, position)], rows::entry).optional()?;
        if let Some(entry) = entry.as_mut().filter(|_| claim.edited) {
            edit.query_row([place(reader, position)], |row| rows::edit(row, entry))?;
        }
        answer.push((claim, entry));
    }
    Ok(answer)
}

/// What a reader has leased together, after a position and up to another.
fn leased(connection: &Connection, reader: i64, after: i64, last: i64) -> rusqlite::Result<Vec<ClaimStatus>> {
    let mut batches = connection.prepare_cached(
        "select until, claimed, positions from dozen_lease where reader = ?1 and first <= ?2",
    )?;
    let mut rows = batches.query([reader, last])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let (until, claimed) = (Timestamp(row.get(0)?), Timestamp(row.get(1)?));
        let positions = unpack(row.get_ref(2)?.as_blob()?);
        claims.extend(positions.filter(|position| *position > after && *position <= last).map(|position| {
            ClaimStatus {
                position: unsigned(position),
                state: ClaimState::Leased,
                attempts: 1,
                due: Some(until),
                claimed: Some(claimed),
                ended: None,
                key: None,
                errors: Vec::new(),
                edited: false,
            }
        }));
    }
    Ok(claims)
}

/// A message in every stream that it is in, with what each reader has made of it.
pub(crate) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Vec<Sighting>> {
    let found: Vec<(String, i64, Entry)> = connection
        .prepare_cached(&format!(
            "select {ENTRY}, name, stream from dozen_entry join dozen_stream on stream = place >> 44
             where id in (?1, ?2) order by place & {POSITION_MAX} limit 100"
        ))?
        .query_map([Id::of(id), Id::Text(id)], |row| Ok((row.get(8)?, row.get(9)?, rows::entry(row)?)))?
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
        let position = signed(entry.position);
        for (reader, name) in readers {
            let own = match claim.query_row([place(reader, position)], rows::claim).optional()? {
                None => leased(connection, reader, position - 1, position)?.pop(),
                own => own,
            };
            seen.push((name, own));
        }
        sightings.push(Sighting { stream, entry, readers: seen });
    }
    Ok(sightings)
}

/// The readers of streams whose names begin so.
pub(crate) fn readers(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<ReaderStatus>> {
    let found: Vec<(i64, i64, ReaderStatus)> = connection
        .prepare_cached(
            "select reader, stream, s.name, r.name, r.position, appended - taken, paused
             from dozen_reader r join dozen_stream s using (stream)
             where substr(s.name, 1, length(?1)) = ?1 order by s.name, r.name",
        )?
        .query_map([prefix], |row| {
            let status = ReaderStatus {
                stream: row.get(2)?,
                reader: row.get(3)?,
                position: unsigned(row.get(4)?),
                fresh: unsigned(row.get(5)?),
                leased: 0,
                waiting: 0,
                held: 0,
                parked: 0,
                parked_keys: 0,
                oldest: None,
                paused: row.get(6)?,
            };
            Ok((row.get(0)?, row.get(1)?, status))
        })?
        .collect::<Result<_, _>>()?;
    let mut answer = Vec::with_capacity(found.len());
    for (reader, stream, mut status) in found {
        let first_open = count(connection, reader, &mut status)?;
        status.oldest = oldest(connection, stream, &status, first_open)?;
        answer.push(status);
    }
    Ok(answer)
}

/// Counts what a reader has not ended; gives the first position of it, dead letters aside.
fn count(connection: &Connection, reader: i64, status: &mut ReaderStatus) -> rusqlite::Result<Option<i64>> {
    let mut count = connection.prepare_cached(
        "select state, count(*), min(place) & ?2 from dozen_claim where reader = ?1 and due is not null group by state
         union all
         select state, count(*), min(place) & ?2 from dozen_claim where reader = ?1 and due is null and state < 10
         group by state
         union all
         select 0, sum(open), min(first) from dozen_lease where reader = ?1 having count(*) > 0",
    )?;
    let mut first_open: Option<i64> = None;
    let mut counted = count.query([reader, POSITION_MAX])?;
    while let Some(row) = counted.next()? {
        let (state, number, first): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let number = unsigned(number);
        match ClaimState::from_code(state) {
            Some(ClaimState::Leased) => status.leased += number,
            Some(ClaimState::Waiting) => status.waiting += number,
            Some(ClaimState::Held) => status.held += number,
            _ => {
                status.parked += number;
                continue;
            }
        }
        first_open = Some(first_open.map_or(first, |before| before.min(first)));
    }
    if status.parked > 0 {
        status.parked_keys = connection
            .prepare_cached(
                "select count(distinct key) from dozen_claim
                 where reader = ?1 and state = 3 and due is null and state < 10",
            )?
            .query_row([reader], |row| row.get(0))
            .map(unsigned)?;
    }
    Ok(first_open)
}

/// When the oldest entry that a reader has before it was appended.
fn oldest(
    connection: &Connection,
    stream: i64,
    status: &ReaderStatus,
    first_open: Option<i64>,
) -> rusqlite::Result<Option<Timestamp>> {
    let position = match first_open {
        None if status.fresh > 0 => connection
            .prepare_cached("select place from dozen_entry where place > ?1 order by place limit 1")?
            .query_row([place(stream, signed(status.position))], |row| row.get(0))
            .optional()?
            .map(position_of),
        first => first,
    };
    let Some(position) = position else { return Ok(None) };
    connection
        .prepare_cached("select at from dozen_entry where place = ?1")?
        .query_row([place(stream, position)], |row| row.get(0).map(Timestamp))
        .optional()
}
