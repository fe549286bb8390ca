//! An engine that counts and times, around any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dozen_core::chain;

use crate::{Answer, Capabilities, Changes, Committed, Engine, EngineTx, Error, Op, Query};

/// Calls slower than this are worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// Counts commits, queries, failures and the time they took; logs what fails or is slow.
pub struct Observed {
    inner: Arc<dyn Engine>,
    counts: Counts,
}

/// What has been counted so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Transactions that committed.
    pub commits_total: AtomicU64,
    /// Queries that were answered.
    pub queries_total: AtomicU64,
    /// Calls that failed.
    pub failures_total: AtomicU64,
    /// The time that all of them took, in microseconds.
    pub busy_micros_total: AtomicU64,
}

impl Observed {
    /// `inner`, watched.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner, counts: Counts::default() }
    }

    /// The counters, for whoever exports them.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn watch<T>(
        &self,
        name: &'static str,
        total: &AtomicU64,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let result = call.await;
        let took = start.elapsed();
        self.counts
            .busy_micros_total
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        match &result {
            Ok(_) => total.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                tracing::debug!(call = name, error = chain(error), "store call failed");
                self.counts.failures_total.fetch_add(1, Ordering::Relaxed)
            }
        };
        if took > SLOW {
            tracing::warn!(call = name, ?took, "store call was slow");
        }
        result
    }
}

#[async_trait]
impl Engine for Observed {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        self.watch("commit", &self.counts.commits_total, self.inner.commit(ops)).await
    }

    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error> {
        // A transaction's steps are the caller's time; only the wait for it is the engine's.
        self.watch("begin", &self.counts.commits_total, self.inner.begin()).await
    }

    async fn query(&self, query: Query) -> Result<Answer, Error> {
        self.watch("query", &self.counts.queries_total, self.inner.query(query)).await
    }

    fn changes(&self, stream: &str) -> Changes {
        self.inner.changes(stream)
    }
}
