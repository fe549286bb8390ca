//! Outbox and inbox: the two ends of a message that is never lost and takes effect once.
//!
//! ```text
//!   ┌─ the sender's transaction ─┐                          ┌─ the receiver's transaction ─┐
//!   │ its own rows               │                          │ inbox mark (handler, id)     │
//!   │ outbox.publish(tx, …)      │ ──► topic ──► delivery ──│ its own rows                 │
//!   └──────── commit ────────────┘                          └──────── commit ──────────────┘
//! ```
//!
//! Publishing after the commit loses the event when the process dies in between; publishing before it announces what
//! may never happen. Inside the transaction the event exists if and only if the change does.
//!
//! With the built-in broker the topic *is* in the store, so the commit is the publication: nothing is written twice, and
//! no relay stands between. The inbox drops what is delivered twice: its mark commits with the effect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dozen_core::{Ids, Message};
use dozen_messaging::{Error, TopicSettings, declared, unknown};
use dozen_store::{Store, Tx};

/// Publishes events in the caller's transaction.
#[derive(Clone)]
pub struct Outbox {
    store: Store,
    source: String,
    ids: Ids,
    /// The topics that have been published on, with their settings as they were then.
    topics: Arc<Mutex<HashMap<String, TopicSettings>>>,
}

impl Outbox {
    /// An outbox of `store` whose events say that they come from `source`, for example `/orders`.
    pub fn new(store: &Store, source: impl Into<String>, ids: Ids) -> Self {
        Self { store: store.clone(), source: source.into(), ids, topics: Arc::default() }
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
        self.settings(topic).await?.admit(topic, &mut event)?;
        tx.append(&TopicSettings::stream(topic), event, self.store.clock().now());
        Ok(())
    }

    async fn settings(&self, topic: &str) -> Result<TopicSettings, Error> {
        let known = |topics: &mut HashMap<String, TopicSettings>| topics.get(topic).cloned();
        if let Some(settings) = self.with_topics(known) {
            return Ok(settings);
        }
        let Some(settings) = declared::<TopicSettings>(&self.store, "topic", topic).await? else {
            return Err(unknown(&self.store, "topic", topic).await);
        };
        // Only declared names come in, so that the map is as bounded as the declarations.
        self.with_topics(|topics| topics.insert(topic.to_owned(), settings.clone()));
        Ok(settings)
    }

    fn with_topics<T>(&self, work: impl FnOnce(&mut HashMap<String, TopicSettings>) -> T) -> T {
        work(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Marks what a handler has seen, in the transaction of its effect.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
    space: Arc<str>,
    keep: Duration,
}

impl Inbox {
    /// The inbox of `handler`; two handlers of one message have two. Marks are kept for `keep`, which must be longer than
    /// anything may be delivered again.
    pub fn new(store: &Store, handler: &str, keep: Duration) -> Self {
        Self { store: store.clone(), space: format!("inbox/{handler}").into(), keep }
    }

    /// Whether `tx` is the first to see the message. If it is not, the effect has happened: acknowledge, and do nothing.
    pub async fn first(&self, tx: &mut Tx, message: &Message) -> Result<bool, dozen_store::Error> {
        // An id is unique within its source only.
        let key = format!("{}\n{}", message.source, message.id);
        let now = self.store.clock().now();
        tx.mark(&self.space, &key, now, Some(now.after(self.keep))).await
    }
}
