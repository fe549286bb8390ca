//! The sender's end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dozen_core::{Ids, Message, chain};
use dozen_messaging::{Admission, Error, Keyring, TopicSettings, declared, unknown};
use dozen_store::{OutboxRow, OwnTransaction, Store, Tx};

/// Publishes events in the caller's transaction.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    source: String,
    pub(crate) ids: Ids,
    keys: Option<Keyring>,
    /// The doors of the topics that have been published on, with their settings as they were then.
    topics: Arc<Mutex<HashMap<String, Arc<Admission>>>>,
}

impl Outbox {
    /// An outbox of `store` whose events say that they come from `source`, for example `/orders`.
    pub fn new(store: &Store, source: impl Into<String>, ids: Ids) -> Self {
        Self { store: store.clone(), source: source.into(), ids, keys: None, topics: Arc::default() }
    }

    /// Seals what is published on sealed topics with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Keyring>) -> Self {
        (self.keys, self.topics) = (keys, Arc::default());
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
    /// The topic must have been declared, which `dozen up` does with those of its file. Its settings are read once.
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

    pub(crate) async fn admission(&self, topic: &str) -> Result<Arc<Admission>, Error> {
        let known = |topics: &mut HashMap<String, Arc<Admission>>| topics.get(topic).cloned();
        if let Some(admission) = self.with_topics(known) {
            return Ok(admission);
        }
        let Some(settings) = declared::<TopicSettings>(&self.store, "topic", topic).await? else {
            return Err(unknown(&self.store, "topic", topic).await);
        };
        let admission = Arc::new(Admission::new(topic, settings, self.keys.clone())?);
        // Only declared names come in, so that the map is as bounded as the declarations.
        self.with_topics(|topics| topics.insert(topic.to_owned(), admission.clone()));
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

    fn with_topics<T>(&self, work: impl FnOnce(&mut HashMap<String, Arc<Admission>>) -> T) -> T {
        work(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
