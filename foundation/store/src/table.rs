//! Small records with versions and expiry.

use std::sync::Arc;

use dozen_core::{Clock, Timestamp};

use crate::{Engine, Error, Expect, Op, Put, Query, Remove};

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// Grows with each write; never used again after a removal.
    pub version: u64,
    /// When it goes by itself.
    pub expires: Option<Timestamp>,
}

/// A table of a store: definitions, marks, heads, registrations. Not for the application's own rows, which have SQL.
///
/// Each call is a transaction of its own; what must happen together with other things goes through [`crate::Tx`].
#[derive(Clone)]
pub struct Table {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    space: Arc<str>,
}

impl Table {
    pub(crate) fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, space: &str) -> Self {
        Self { engine, clock, space: space.into() }
    }

    /// One row, if it is there and not expired.
    pub async fn get(&self, key: &str) -> Result<Option<Row>, Error> {
        let query = Query::Get { space: self.space.clone(), key: key.to_owned(), now: self.clock.now() };
        Ok(self.engine.query(query).await?.table_rows()?.pop())
    }

    /// Rows by key, after `after`.
    pub async fn list(&self, after: &str, limit: usize) -> Result<Vec<Row>, Error> {
        let now = self.clock.now();
        let query = Query::List { space: self.space.clone(), after: after.to_owned(), limit, now };
        self.engine.query(query).await?.table_rows()
    }

    /// Writes a row; gives its version, or `None` when what was expected was not there.
    pub async fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        expect: Expect,
        expires: Option<Timestamp>,
    ) -> Result<Option<u64>, Error> {
        let put = Put {
            space: self.space.clone(),
            key: key.to_owned(),
            value,
            expect,
            expires,
            now: self.clock.now(),
        };
        first(self.engine.commit(vec![Op::Put(put)]).await?.outcomes)?.put()
    }

    /// Removes a row, and says whether it was there as expected.
    pub async fn remove(&self, key: &str, expect: Expect) -> Result<bool, Error> {
        let remove = Remove { space: self.space.clone(), key: key.to_owned(), expect };
        Ok(first(self.engine.commit(vec![Op::Remove(remove)]).await?.outcomes)?.touched()? > 0)
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

fn first(outcomes: Vec<crate::Outcome>) -> Result<crate::Outcome, Error> {
    outcomes.into_iter().next().ok_or_else(|| Error::Invalid("an engine gave no outcome".into()))
}
