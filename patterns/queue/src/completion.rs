//! How a sender learns what became of its message.

use std::time::Duration;

use bytes::Bytes;
use dozen_core::Timestamp;
use dozen_messaging::{Delivery, Error};
use dozen_store::{Expect, Op, Put, Tx};
use serde::Serialize;
use tokio::time::Instant;

use crate::{Queue, Status, Step};

/// How often a deadline's waiter looks even without a hint: a delayed hint must not cost it the answer.
const LOOK: Duration = Duration::from_secs(5);

/// What became of a message by its deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// How it stands. Finished when [`Step::is_final`] says so; otherwise the deadline came first.
    pub status: Status,
    /// What its handler answered, if it did.
    #[serde(skip)]
    pub reply: Option<Bytes>,
}

impl Queue {
    /// Waits until the message `id` is done, dropped or given up, for `within` at most; then says how it stands. `None`
    /// when the queue does not know it (any more).
    pub async fn completion(&self, id: &str, within: Duration) -> Result<Option<Completion>, Error> {
        let deadline = Instant::now() + within;
        let mut ends: Vec<_> =
            self.streams.iter().map(|stream| self.journal.ends_of(stream, &self.reader)).collect();
        loop {
            ends.iter_mut().for_each(|end| end.mark_unchanged());
            let Some(status) = self.status(id).await? else { return Ok(None) };
            let now = Instant::now();
            if status.step.is_final() || now >= deadline {
                let reply = match status.step {
                    Step::Done => self.reply(id).await?,
                    _ => None,
                };
                return Ok(Some(Completion { status, reply }));
            }
            let ended = futures::future::select_all(ends.iter_mut().map(|end| Box::pin(end.changed())));
            tokio::select! {
                _ = ended => {}
                () = tokio::time::sleep_until(deadline.min(now + LOOK)) => {}
            }
        }
    }

    /// Answers the sender of `delivery` with the caller's transaction. Kept for as long as the queue keeps what is done.
    pub fn reply_in(&self, tx: &mut Tx, delivery: &Delivery, reply: impl Into<Vec<u8>>) {
        let now = self.store.clock().now();
        tx.defer(Op::Put(Put {
            space: self.replies(),
            key: delivery.message.id.clone(),
            value: reply.into(),
            expect: Expect::Any,
            expires: Some(now.after(self.options.keep)),
            now,
        }));
    }

    async fn reply(&self, id: &str) -> Result<Option<Bytes>, Error> {
        let row = self.store.table(&self.replies()).get(id).await;
        Ok(row.map_err(|error| self.failed("look into", error))?.map(|row| row.value.into()))
    }

    fn replies(&self) -> std::sync::Arc<str> {
        format!("reply/{}", self.name).into()
    }
}

impl Step {
    /// Whether nothing more happens to it by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Dropped)
    }
}

impl Completion {
    /// When it was finished, if it was.
    pub fn ended(&self) -> Option<Timestamp> {
        self.status.ended
    }
}
