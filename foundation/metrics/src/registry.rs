//! Those who know something, asked together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::chain;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::Page;

/// How long one collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a page is good: several that scrape at once cause one gathering.
const FRESH: Duration = Duration::from_secs(1);

/// Knows a part of what there is to measure.
#[async_trait]
pub trait Collector: Send + Sync + 'static {
    /// Its name in `dozen_collector_up`.
    fn name(&self) -> &'static str;

    /// Writes what it knows. On failure nothing of it counts.
    async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// The collectors of one endpoint.
pub struct Registry {
    collectors: Vec<Arc<dyn Collector>>,
    latest: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Registry {
    /// An endpoint for what these know.
    pub fn new(collectors: Vec<Arc<dyn Collector>>) -> Self {
        Self { collectors, latest: Mutex::new(None) }
    }

    /// The page as it is now, or was less than a second ago.
    pub async fn render(&self) -> Arc<str> {
        // Whoever comes meanwhile waits for this gathering instead of starting another.
        let mut latest = self.latest.lock().await;
        if let Some((_, page)) = latest.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return page.clone();
        }
        let page: Arc<str> = self.gather().await.render().into();
        *latest = Some((Instant::now(), page.clone()));
        page
    }

    async fn gather(&self) -> Page {
        let mut page = Page::default();
        for collector in &self.collectors {
            let mut own = Page::default();
            let error = match timeout(PATIENCE, collector.collect(&mut own)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(&*error)),
                Err(_) => Some(format!("it took longer than {}s", PATIENCE.as_secs())),
            };
            let name = collector.name();
            if let Some(error) = &error {
                tracing::warn!(collector = name, error, "metrics are incomplete");
            } else {
                page.absorb(own);
            }
            page.gauge("dozen_collector_up", "Whether this part of the metrics could be gathered.")
                .sample(&[("collector", name)], f64::from(u8::from(error.is_none())));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Asked(AtomicU32);
    struct Fails;
    struct Hangs;

    #[async_trait]
    impl Collector for Asked {
        fn name(&self) -> &'static str {
            "asked"
        }

        async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            let times = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            page.gauge("asked_times", "How often.").sample(&[], f64::from(times));
            Ok(())
        }
    }

    #[async_trait]
    impl Collector for Fails {
        fn name(&self) -> &'static str {
            "fails"
        }

        async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            page.gauge("half_done", "Never shown.").sample(&[], 1.0);
            Err("the store is away".into())
        }
    }

    #[async_trait]
    impl Collector for Hangs {
        fn name(&self) -> &'static str {
            "hangs"
        }

        async fn collect(&self, _: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_fails_or_hangs_is_said_and_the_others_answer() {
        let registry =
            Registry::new(vec![Arc::new(Fails), Arc::new(Hangs), Arc::new(Asked(AtomicU32::new(0)))]);
        let page = registry.render().await;
        for line in [
            "dozen_collector_up{collector=\"asked\"} 1\n",
            "dozen_collector_up{collector=\"fails\"} 0\n",
            "dozen_collector_up{collector=\"hangs\"} 0\n",
            "asked_times 1\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
        assert!(!page.contains("half_done"), "{page}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_once_cause_one_gathering() {
        let registry = Registry::new(vec![Arc::new(Asked(AtomicU32::new(0)))]);
        let (one, other) = tokio::join!(registry.render(), registry.render());
        assert!(one == other && one.contains("asked_times 1\n"));
        tokio::time::advance(FRESH).await;
        assert!(registry.render().await.contains("asked_times 2\n"));
    }
}
