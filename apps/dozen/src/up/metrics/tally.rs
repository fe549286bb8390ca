//! What became of deliveries, counted for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dozen_core::Mutex;
use dozen_messaging::{Delivery, Handler, Verdict};

/// Counts of one subscription, since this process started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) handled: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Given back without an attempt that failed: not now, or not wanted.
    pub(crate) put_off: AtomicU64,
}

/// The counts of all of them, by topic or pattern and name. As many as the file has subscriptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies(Arc<Mutex<Vec<Entry>>>);

/// Topic or pattern, name, and what was counted.
pub(crate) type Entry = (String, String, Arc<Counts>);

impl Tallies {
    /// New counts for the subscription `name` of `topic`.
    pub(crate) fn of(&self, topic: &str, name: &str) -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        self.lock().push((topic.to_owned(), name.to_owned(), counts.clone()));
        counts
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.0.lock()
    }
}

/// A handler whose verdicts are counted.
pub(crate) struct Tally {
    inner: Arc<dyn Handler>,
    counts: Arc<Counts>,
}

impl Tally {
    pub(crate) fn new(inner: Arc<dyn Handler>, counts: Arc<Counts>) -> Self {
        Self { inner, counts }
    }
}

#[async_trait]
impl Handler for Tally {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let verdict = self.inner.handle(delivery).await;
        let count = match verdict {
            Verdict::Done | Verdict::Settled => &self.counts.handled,
            Verdict::Failed(_) | Verdict::Poison(_) => &self.counts.failed,
            Verdict::Later(_) | Verdict::Drop(_) => &self.counts.put_off,
        };
        count.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}
