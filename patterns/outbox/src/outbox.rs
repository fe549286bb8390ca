//! The sender's end.

use std::sync::Arc;

use dozen_core::{Ids, Message, chain};
use dozen_messaging::{Admission, Error, Keyring, TopicSettings, unknown};
use dozen_store::{OutboxRow, OwnTransaction, Store, Tx};

use crate::doors::Doors;

/// Publishes events in the caller's transaction.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    source: String,
    pub(crate) ids: Ids,
    keys: Option<Keyring>,
    doors: Arc<Doors>,
}

impl Outbox {
    /// An outbox of `store` whose events say that they come from `source`, for example `/orders`.
    pub fn new(store: &Store, source: impl Into<String>, ids: Ids) -> Self {
        let doors = Arc::new(Doors::of(store));
        Self { store: store.clone(), source: source.into(), ids, keys: None, doors }
    }

    /// Seals what is published on sealed topics with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Keyring>) -> Self {
        (self.keys, self.doors) = (keys, Arc::new(Doors::of(&self.store)));
        self
    }

    /// A JSON event that can be published.
    pub fn event(&self, kind: &str, data: impl Into<Vec<u8>>) -> Message {
        let mut event = Message::new(self.ids.next().to_string(), self.source.as_str(), kind);
        event.time = Some(self.store.clock().now());
        event.with_data(Some("application/json"), data.into())
    }

    /// Publishes `event` on `topic` when `tx` commits; if it does not, the event never was.
    ///
    /// The topic must have been declared, which `dozen up` does with those of its file.
    pub async fn publish(&self, tx: &mut Tx, topic: &str, mut event: Message) -> Result<(), Error> {
        self.admission(topic).await?.admit(&mut event)?;
        tx.append(&TopicSettings::stream(topic), event, self.store.clock().now());
        Ok(())
    }

    /// Publishes `event` on `topic` when the caller's own transaction, on a connection of its own, commits.
    pub async fn publish_on(
        &self,
        tx: &mut impl OwnTransaction,
        topic: &str,
        event: Message,
    ) -> Result<(), Error> {
        let row = self.row(topic, event).await?;
        let inserted = tx.insert(&row).await;
        inserted.map_err(|error| Error::engine(format!("publish on topic `{topic}`"), error))
    }

    /// The row that publishes `event` on `topic`, for a transaction that is not asynchronous. Settles beforehand whether the
    /// topic takes it.
    pub async fn row(&self, topic: &str, mut event: Message) -> Result<OutboxRow, Error> {
        self.admission(topic).await?.admit(&mut event)?;
        Ok(OutboxRow::new(topic, event))
    }

    /// The door of a topic, as it was declared last.
    pub(crate) async fn admission(&self, topic: &str) -> Result<Arc<Admission>, Error> {
        let generation = match self.doors.current(topic) {
            Ok(admission) => return Ok(admission),
            Err(generation) => generation,
        };
        let row = self.store.table("topic").get(topic).await;
        let row = row.map_err(|error| Error::engine(format!("look up topic `{topic}`"), error))?;
        let Some(row) = row else {
            self.doors.forget(topic);
            return Err(unknown(&self.store, "topic", topic).await);
        };
        if let Some(admission) = self.doors.same(topic, row.version, generation) {
            return Ok(admission);
        }
        let settings: TopicSettings = serde_json::from_slice(&row.value).map_err(|error| {
            Error::Invalid(format!("the declared settings of topic `{topic}` cannot be read: {error}"))
        })?;
        let admission = Arc::new(Admission::new(topic, settings, self.keys.clone())?);
        self.doors.keep(topic, row.version, generation, admission.clone());
        Ok(admission)
    }

    /// Opens a sealed payload, whose seal would not outlive another id.
    pub(crate) fn open(&self, message: &mut Message) -> Result<(), Error> {
        let keys = self.keys.as_ref().ok_or_else(|| {
            let id = &message.id;
            Error::Invalid(format!("`{id}` is sealed, and a copy with an id of its own needs the keys"))
        })?;
        keys.unseal(message).map_err(|error| Error::Invalid(chain(&error)))
    }
}
