//! What every peer does, we among them.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::Failure;

/// Messages that a consumer takes at once, where the peer lets it.
pub(super) const BATCH: usize = 128;
/// How long a consumer waits for the first message of a batch.
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// The two kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Each caller adds a message and waits until it is acknowledged.
    Append,
    /// The same, and consumers lease and acknowledge what was added.
    Cycle,
}

impl Work {
    /// Its name in a figure.
    pub(super) fn name(self) -> &'static str {
        match self {
            Work::Append => "append",
            Work::Cycle => "cycle",
        }
    }
}

/// Brings a peer up with everything that it writes in a folder, on a free port.
pub(super) type Start = for<'a> fn(&'a Path) -> BoxFuture<'a, Result<Started, Failure>>;

/// What came of a start.
pub(super) enum Started {
    /// It runs.
    Runs(Box<dyn Peer>),
    /// This machine's version cannot do what is asked: why.
    Skipped(String),
}

/// A broker or store that runs and does nothing yet.
#[async_trait]
pub(super) trait Peer: Send + Sync {
    /// Its version, and what is true of a message when its acknowledgement arrives.
    fn promise(&self) -> String;

    /// An empty place for this kind of work. One at a time.
    async fn open(&self, work: Work) -> Result<Box<dyn Place>, Failure>;

    /// The CPU time of its own processes. None for what runs in ours.
    fn cpu(&self) -> Duration;
}

/// A log or a queue.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// A way in for one caller who sends `payload` again and again.
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure>;

    /// A way out for one consumer of a queue; they compete.
    async fn taker(&self) -> Result<Box<dyn Taker>, Failure>;

    /// Forgets it and all that it holds; nobody sends or takes any more.
    async fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// One caller.
#[async_trait]
pub(super) trait Sender: Send {
    /// Sends a message and waits for its acknowledgement.
    async fn send(&mut self) -> Result<(), Failure>;
}

/// One consumer.
#[async_trait]
pub(super) trait Taker: Send {
    /// Leases up to [`BATCH`] messages, waiting up to [`WAIT`] for the first, and acknowledges them. Gives how many.
    async fn take(&mut self) -> Result<usize, Failure>;
}
