//! The caller's own transaction, on the caller's own connection.

use bytes::Bytes;
use dozen_core::Message;

use crate::{Error, Record};

/// One row of the outbox: a table for any program that can write to the store's file or database. What is inserted there is
/// published by the commit of the inserting transaction.
///
/// The columns are those that Debezium's outbox router expects: `id`, `aggregatetype`, `aggregateid`, `type`, `payload`,
/// and `headers` besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The event's id.
    pub id: String,
    /// The topic.
    pub aggregatetype: String,
    /// The key that orders: events of one key are handled one after the other.
    pub aggregateid: Option<String>,
    /// What happened, for example `order.placed`.
    pub kind: String,
    /// The payload.
    pub payload: Bytes,
    /// The other CloudEvents attributes: one JSON object.
    pub headers: String,
}

impl OutboxRow {
    /// The row that publishes `message` on `topic`.
    pub fn new(topic: impl Into<String>, message: Message) -> Self {
        let Record { id, kind, key, attributes, data } = Record::from(message);
        let (aggregatetype, aggregateid) = (topic.into(), key);
        Self { id, aggregatetype, aggregateid, kind, payload: data, headers: attributes }
    }
}

/// A transaction of a database driver, in which rows of the outbox can be inserted. `dozen-transactions` has it for common
/// drivers; for another it is one statement.
pub trait OwnTransaction {
    /// Inserts `row`. It is published when the transaction commits; if it does not, the event never was.
    ///
    /// The topic has taken the row before: an engine may leave out the checks that a stranger's row gets.
    ///
    /// The future is `Send` where the driver's is, which is why this is no `async fn` of a boxed trait.
    fn insert(&mut self, row: &OutboxRow) -> impl Future<Output = Result<(), Error>>;
}
