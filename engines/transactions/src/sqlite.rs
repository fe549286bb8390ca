//! rusqlite.

use std::time::Duration;

use dozen_store::{Error, OutboxRow, OwnTransaction};
use rusqlite::{Connection, ErrorCode, params};

/// A transaction of rusqlite, or a connection inside or outside of one: `Rusqlite(&tx)`.
///
/// It blocks the thread for as long as SQLite does, as every call of rusqlite.
pub struct Rusqlite<'c>(pub &'c Connection);

impl Rusqlite<'_> {
    /// Inserts `row`, for callers that are not asynchronous.
    pub fn insert_now(&self, row: &OutboxRow) -> Result<(), Error> {
        let OutboxRow { id, aggregatetype, aggregateid, kind, payload, headers } = row;
        let insert = || -> rusqlite::Result<usize> {
            let mut statement = self.0.prepare_cached(crate::SQLITE)?;
            statement.execute(params![id, aggregatetype, aggregateid, kind, &payload[..], headers])
        };
        insert().map(drop).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Busy { location: self.0.path().unwrap_or("in memory").into(), waited: Duration::ZERO }
            }
            _ => crate::failed(crate::SQLITE, &error),
        })
    }
}

impl OwnTransaction for Rusqlite<'_> {
    fn insert(&mut self, row: &OutboxRow) -> impl Future<Output = Result<(), Error>> {
        std::future::ready(self.insert_now(row))
    }
}
