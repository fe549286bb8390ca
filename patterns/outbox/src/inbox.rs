//! The receiver's end.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::Message;
use dozen_store::{Store, Tx};

/// Marks what a handler has seen, in the transaction of its effect.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
    space: Arc<str>,
    keep: Duration,
}

impl Inbox {
    /// The inbox of `handler`; two handlers of one message have two. Marks are kept for `keep`, which must be longer than
    /// anything may be delivered again, and forgotten by the day: a week of them is eight days' worth.
    pub fn new(store: &Store, handler: &str, keep: Duration) -> Self {
        Self { store: store.clone(), space: format!("inbox/{handler}").into(), keep }
    }

    /// Whether `tx` is the first to see the message. If it is not, the effect has happened: acknowledge, and do nothing.
    pub async fn first(&self, tx: &mut Tx, message: &Message) -> Result<bool, dozen_store::Error> {
        // An id is unique within its source only.
        let key = format!("{}\n{}", message.source, message.id);
        let now = self.store.clock().now();
        tx.mark(&self.space, &key, now, self.keep).await
    }
}
