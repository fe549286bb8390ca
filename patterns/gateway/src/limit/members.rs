//! How many gateways share a store: each writes a row that expires, and counts the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Clock, Ids};
use dozen_store::{Error, Expect, Store, Table};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::keeper::Upkeep;

/// From one sign of life to the next.
const BEAT: Duration = Duration::from_secs(3);
/// After how long without one a gateway is gone.
const GONE: Duration = Duration::from_secs(10);
/// Gateways that are counted.
const MEMBERS_MAX: usize = 1000;

/// The gateways of a store, this one included.
pub(crate) struct Members {
    table: Table,
    clock: Arc<dyn Clock>,
    own: String,
    count: AtomicU32,
    nudge: Arc<Notify>,
}

impl Members {
    pub(crate) fn new(store: &Store, ids: &Ids) -> Self {
        Self {
            table: store.table("gateway-member"),
            clock: store.clock().clone(),
            own: ids.next().to_string(),
            count: AtomicU32::new(1),
            nudge: Arc::default(),
        }
    }

    /// How many there are, as far as is known; at least this one.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    async fn beat(&self) -> Result<usize, Error> {
        let expires = self.clock.now().after(GONE);
        self.table.put(&self.own, Vec::new(), Expect::Any, Some(expires)).await?;
        Ok(self.table.list("", MEMBERS_MAX).await?.len())
    }
}

#[async_trait]
impl Upkeep for Members {
    fn nudge(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    async fn turn(&self) -> Duration {
        // While the store is away the last number stands; the limits say what happens then.
        if let Ok(Ok(count)) = timeout(BEAT, self.beat()).await {
            self.count.store(u32::try_from(count).unwrap_or(u32::MAX).max(1), Ordering::Relaxed);
        }
        BEAT
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("count", &self.count()).finish_non_exhaustive()
    }
}
