//! The other side gets a write, and then both are read: are they equal?

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_messaging::{Delivery, Handler, Verdict};

use super::{FEED, Write};
use crate::Side;
use crate::compare::{Answer, Compared};
use crate::feature::Feature;
use crate::send::{Request, Sender, Unsent};

/// Applies the writes of a feed on the other side, and looks whether both are equal afterwards.
///
/// A [`Handler`] for a `Worker` on [`Feed::subscriber`].
pub struct Applier {
    feature: Arc<Feature>,
    sender: Arc<dyn Sender>,
    patience: Duration,
}

impl Applier {
    /// For `feature`, through `sender`; each call may take `patience`.
    pub fn new(feature: Arc<Feature>, sender: Arc<dyn Sender>, patience: Duration) -> Self {
        Self { feature, sender, patience }
    }

    async fn send(&self, side: Side, request: Request) -> Result<Answer, Unsent> {
        let body_max = self.feature.options().compare.body_max;
        let sending = self.sender.send(self.feature.service(side), request, body_max);
        tokio::time::timeout(self.patience, sending).await.unwrap_or(Err(Unsent::TimedOut))
    }

    async fn apply(&self, write: &Write) -> Verdict {
        let request = match write.request() {
            Ok(request) => request,
            Err(problem) => return Verdict::Poison(format!("the write is no request: {problem}")),
        };
        match self.send(write.to, request).await {
            Ok(answer) if answer.status().is_success() => Verdict::Done,
            Ok(answer)
                if answer.status().is_server_error()
                    || matches!(answer.status().as_u16(), 408 | 425 | 429) =>
            {
                Verdict::Failed(format!("the {} side answers {}", write.to, answer.status()))
            }
            Ok(answer) => {
                Verdict::Poison(format!("the {} side refuses it with {}", write.to, answer.status()))
            }
            Err(Unsent::TooLarge(_)) => Verdict::Done,
            Err(unsent) => Verdict::Failed(unsent.to_string()),
        }
    }

    /// Reads both sides, as the feed does: whoever has written is not known any more. `None` where what they say proves
    /// nothing: two that both refuse to be read are not equal because they refuse in the same words.
    async fn is_equal(&self, write: &Write, path: &str) -> Option<bool> {
        let request = || {
            let request = http::Request::builder().uri(path).header("accept-encoding", "identity");
            request.header(FEED, "true").body(Bytes::new()).ok()
        };
        let (old, new) = (request()?, request()?);
        let (old, new) = tokio::join!(self.send(Side::Old, old), self.send(Side::New, new));
        let (old, new) = (old.ok()?, new.ok()?);
        match (Shown::of(&old), Shown::of(&new)) {
            (Shown::There, Shown::There) => match self.feature.comparator().compare(&old, &new) {
                Compared::Same => Some(true),
                Compared::Different(_) => Some(false),
                Compared::Incomparable(_) => None,
            },
            (Shown::Gone, Shown::Gone) => (write.method == "DELETE").then_some(true),
            (Shown::There, Shown::Gone) | (Shown::Gone, Shown::There) => Some(false),
            (Shown::Nothing, _) | (_, Shown::Nothing) => None,
        }
    }

    async fn reconcile(&self, write: &Write, path: &str) {
        let wait = self.feature.options().writes.reconcile_after;
        tokio::time::sleep(wait).await;
        let mut equal = self.is_equal(write, path).await;
        if equal == Some(false) {
            // A write that came meanwhile makes them differ for a moment.
            tokio::time::sleep(self.feature.options().compare.confirm_after).await;
            equal = self.is_equal(write, path).await;
        }
        self.feature.reconciled(equal);
    }
}

/// What one side shows of something that was written.
enum Shown {
    There,
    Gone,
    /// Neither: it may not be seen, or the side fails.
    Nothing,
}

impl Shown {
    fn of(answer: &Answer) -> Self {
        match answer.status().as_u16() {
            200..300 => Self::There,
            404 | 410 => Self::Gone,
            _ => Self::Nothing,
        }
    }
}

#[async_trait]
impl Handler for Applier {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let write: Write = match serde_json::from_slice(&delivery.message.data) {
            Ok(write) => write,
            Err(error) => return Verdict::Poison(format!("it is no write: {error}")),
        };
        let verdict = self.apply(&write).await;
        match (&verdict, &write.look) {
            (Verdict::Done, Some(path)) => self.reconcile(&write, path).await,
            // What one side takes and the other refuses is a difference, even if nobody reads it.
            (Verdict::Poison(_), _) => self.feature.reconciled(Some(false)),
            _ => {}
        }
        verdict
    }
}
