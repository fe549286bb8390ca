//! The tables, and how an older file becomes a newer one.

use std::path::Path;

use dozen_store::Error;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::translate;
use crate::outbox;

/// Bits of a place that hold the position; the rest, above, holds the stream or the reader.
pub(crate) const POSITION_BITS: u32 = 44;
/// The highest position.
pub(crate) const POSITION_MAX: i64 = (1 << POSITION_BITS) - 1;
/// The highest number of a stream or reader.
pub(crate) const OWNER_MAX: i64 = (1 << (63 - POSITION_BITS)) - 1;

/// The key of a row that belongs to a stream or reader, ordered by position within it.
///
/// One integer key keeps the entries of a stream together and in order without a second index: 524,287 streams, and
/// 17 million million positions, which a store that takes 100,000 messages a second uses up in five years.
pub(crate) fn place(owner: i64, position: i64) -> i64 {
    (owner << POSITION_BITS) | position
}

/// The position in a place.
pub(crate) fn position_of(place: i64) -> i64 {
    place & POSITION_MAX
}

/// Each step leads from one schema to the next. Append, never change: files in the field have gone through them.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
];

/// What a file says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Given to the file when it was made.
    pub(crate) store: String,
    /// Which history of it.
    pub(crate) epoch: u64,
    /// How often it was opened for writing, this time included: no two writers share it.
    pub(crate) opened: i64,
    /// From where the versions of its rows count.
    pub(crate) versions: i64,
}

/// Brings the file to the schema of this binary, and registers this opening of it.
pub(crate) fn open(connection: &mut Connection, path: &Path) -> Result<Identity, Error> {
    let fail = |error: rusqlite::Error| translate(path, &error);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    tx.execute_batch(
        "create table if not exists dozen_meta (name text primary key, value any not null) strict, without rowid",
    )
    .map_err(fail)?;
    let meta = |name: &str| {
        tx.query_row("select value from dozen_meta where name = ?1", [name], |row| row.get::<_, i64>(0))
            .optional()
    };
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found = u32::try_from(meta("schema").map_err(fail)?.unwrap_or(0)).unwrap_or(u32::MAX);
    if found > known {
        return Err(Error::Newer { location: path.display().to_string(), found, known });
    }
    if found < known {
        outbox::remove(&tx).map_err(fail)?; // it refers to tables as they were
    }
    for step in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        tx.execute_batch(step).map_err(fail)?;
    }
    outbox::install(&tx).map_err(fail)?;
    let opened = meta("opened").map_err(fail)?.unwrap_or(0) + 1;
    tx.execute(
        "insert into dozen_meta values ('schema', ?1), ('opened', ?2), ('epoch', 1), ('store', lower(hex(randomblob(6))))
         on conflict (name) do update set value = excluded.value where name in ('schema', 'opened')",
        params![known, opened],
    )
    .map_err(fail)?;
    let identity = tx
        .query_row(
            "select (select value from dozen_meta where name = 'store'), (select value from dozen_meta where name = 'epoch'),
                    (select value from dozen_meta where name = 'versions')",
            [],
            |row| Ok(Identity { store: row.get(0)?, epoch: row.get(1)?, opened, versions: row.get(2)? }),
        )
        .map_err(fail)?;
    tx.commit().map_err(fail)?;
    Ok(identity)
}
