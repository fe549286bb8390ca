//! A transaction in its owner's hands.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Message, Timestamp};

use crate::{Append, Committed, EngineTx, Error, Mark, Op, Outcome, Record, Row, Statement, Value};

/// A transaction under way. Everything done through it happens together, or not at all; dropped, it leaves nothing.
///
/// Changes that give nothing back ([`Tx::append`], [`Tx::defer`]) are kept and sent along with the next step that
/// does, or with the commit: on an engine behind a thread or a network that saves a round trip each.
pub struct Tx {
    inner: Box<dyn EngineTx>,
    deferred: Vec<Op>,
}

impl Tx {
    pub(crate) fn new(inner: Box<dyn EngineTx>) -> Self {
        Self { inner, deferred: Vec::new() }
    }

    /// Appends a message to a stream.
    pub fn append(&mut self, stream: &Arc<str>, message: Message, at: Timestamp) {
        self.defer(Op::Append(Append {
            stream: stream.clone(),
            records: vec![Record::from(message)],
            at,
            due: None,
        }));
    }

    /// Does `op` some time before the commit. What it gives is not seen; an error fails the transaction.
    pub fn defer(&mut self, op: Op) {
        self.deferred.push(op);
    }

    /// Does `op` now.
    pub async fn apply(&mut self, op: Op) -> Result<Outcome, Error> {
        let mut ops = std::mem::take(&mut self.deferred);
        ops.push(op);
        let mut outcomes = self.inner.apply(ops).await?;
        outcomes.pop().ok_or_else(|| Error::Invalid("an engine gave no outcome".into()))
    }

    /// The caller's own statement; gives the number of rows that it changed.
    pub async fn execute(
        &mut self,
        sql: &str,
        params: impl IntoIterator<Item = Value>,
    ) -> Result<u64, Error> {
        self.apply(Op::Execute(Statement::new(sql, params))).await?.touched()
    }

    /// The caller's own query; sees this transaction's changes.
    pub async fn select(
        &mut self,
        sql: &str,
        params: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Error> {
        self.apply(Op::Select(Statement::new(sql, params))).await?.rows()
    }

    /// Notes that `space` has seen `key`, and says whether it is the first time. The mark is kept for `keep`.
    pub async fn mark(
        &mut self,
        space: &Arc<str>,
        key: &str,
        now: Timestamp,
        keep: Duration,
    ) -> Result<bool, Error> {
        let mark = Mark { space: space.clone(), key: key.to_owned(), now, keep };
        self.apply(Op::Mark(mark)).await?.marked()
    }

    pub(crate) async fn commit(self) -> Result<Committed, Error> {
        self.inner.commit(self.deferred).await
    }
}
