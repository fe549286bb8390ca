//! This process and its store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use dozen_metrics::{Collector, Page};
use dozen_store::Observed;

use super::Collected;

pub(super) struct Process {
    pub(super) engine: &'static str,
    pub(super) observed: Arc<Observed>,
}

#[async_trait]
impl Collector for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        let about = [("version", env!("CARGO_PKG_VERSION")), ("engine", self.engine)];
        page.gauge("dozen_info", "This process: its version, and the engine of its store.")
            .sample(&about, 1.0);
        let counts = self.observed.counts();
        let mut counter = |name, help, value: f64| {
            page.counter(name, help).sample(&[], value);
        };
        let read = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed) as f64;
        counter(
            "dozen_store_commits_total",
            "Transactions that this process committed to its store.",
            read(&counts.commits_total),
        );
        counter(
            "dozen_store_queries_total",
            "Queries that the store answered to this process.",
            read(&counts.queries_total),
        );
        counter(
            "dozen_store_failures_total",
            "Calls of this process that the store failed.",
            read(&counts.failures_total),
        );
        counter(
            "dozen_store_busy_seconds_total",
            "Time that calls of this process waited for the store.",
            read(&counts.busy_micros_total) / 1e6,
        );
        Ok(())
    }
}
