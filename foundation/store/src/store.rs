//! A store: where an application's state lives.

use std::sync::Arc;

use dozen_core::{Clock, Token};

use crate::{
    Answer, Capabilities, Committed, Engine, Error, Journal, Lease, Op, Query, Row, Statement, Table, Tx,
    Value,
};

/// What a transaction gave, and the token that names its commit.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// What the caller's work returned.
    pub value: T,
    /// Lets a later read, anywhere, wait for this commit.
    pub token: Token,
}

/// A handle to a store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// A store on `engine`, with `clock` for what has to be stamped or expires.
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>) -> Self {
        Self { engine, clock }
    }

    /// The same store through another engine around its own, for example one that fails on purpose.
    #[must_use]
    pub fn wrapped(&self, wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>) -> Self {
        Self { engine: wrap(self.engine.clone()), clock: self.clock.clone() }
    }

    /// What the engine can do.
    pub fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    /// Runs `work` in a transaction: when it returns `Ok`, everything it did is durable; when it returns an error, is
    /// dropped or panics, nothing of it has happened.
    ///
    /// An engine with one writer holds it meanwhile, so `work` should not wait for anything but `tx`. Least of all for
    /// another commit of the same store: that one waits for this transaction, until this one is rolled back as too slow.
    pub async fn transaction<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<Written<T>, E>
    where
        E: From<Error>,
    {
        let mut tx = Tx::new(self.engine.begin().await?);
        let value = work(&mut tx).await?;
        let committed = tx.commit().await?;
        Ok(Written { value, token: committed.token })
    }

    /// Opens a transaction for those who cannot hand their work over as a closure.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(Tx::new(self.engine.begin().await?))
    }

    /// Commits what [`Store::begin`] opened.
    pub async fn end(&self, tx: Tx) -> Result<Token, Error> {
        Ok(tx.commit().await?.token)
    }

    /// Runs a transaction that is known in full. The fastest way: it crosses to the engine once, and shares its commit
    /// with whoever else is waiting for one.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        self.engine.commit(ops).await
    }

    /// Reads from one snapshot.
    pub async fn query(&self, query: Query) -> Result<Answer, Error> {
        self.engine.query(query).await
    }

    /// The caller's own query, outside of a transaction.
    pub async fn select(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Error> {
        self.query(Query::Select(Statement::new(sql, params))).await?.rows()
    }

    /// Its journal.
    pub fn journal(&self) -> Journal {
        Journal::new(self.engine.clone(), self.clock.clone())
    }

    /// One of its tables.
    pub fn table(&self, space: &str) -> Table {
        Table::new(self.engine.clone(), self.clock.clone(), space)
    }

    /// One of its leases.
    pub fn lease(&self, name: &str) -> Lease {
        Lease::new(self.table("lease"), name)
    }

    /// The clock that stamps its entries.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
