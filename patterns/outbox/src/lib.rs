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

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, Message};
use dozen_store::{Error, Store, Tx};

/// The stream that a topic's messages stand in.
fn stream(topic: &str) -> Arc<str> {
    format!("topic/{topic}").into()
}

/// Publishes events in the caller's transaction.
#[derive(Clone)]
pub struct Outbox {
    store: Store,
    source: String,
    ids: Ids,
}

impl Outbox {
    /// An outbox of `store` whose events say that they come from `source`, for example `/orders`.
    pub fn new(store: &Store, source: impl Into<String>, ids: Ids) -> Self {
        Self { store: store.clone(), source: source.into(), ids }
    }

    /// A JSON event that can be published.
    pub fn event(&self, kind: &str, data: impl Into<Vec<u8>>) -> Message {
        let mut event = Message::new(self.ids.next().to_string(), self.source.as_str(), kind);
        event.time = Some(self.store.clock().now());
        event.with_data(Some("application/json"), data.into())
    }

    /// Publishes `event` on `topic` when `tx` commits; if it does not, the event never was.
    pub fn publish(&self, tx: &mut Tx, topic: &str, event: Message) {
        tx.append(&stream(topic), event, self.store.clock().now());
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
    pub async fn first(&self, tx: &mut Tx, message: &Message) -> Result<bool, Error> {
        // An id is unique within its source only.
        let key = format!("{}\n{}", message.source, message.id);
        let now = self.store.clock().now();
        tx.mark(&self.space, &key, now, Some(now.after(self.keep))).await
    }
}
