//! The endpoints that a request has been to.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::proxy::AttemptCount;
use crate::resilience::Priority;
use crate::{Lease, Unavailable, Upstream, Want};

/// Endpoints that are avoided because they were tried for the same request.
const AVOIDED_MAX: usize = 8;

/// The endpoints that were tried for a request, and how often one was. Shared by attempts that run side by side.
#[derive(Default)]
pub(crate) struct Tried {
    ids: [AtomicU64; AVOIDED_MAX],
    count: AtomicU32,
    /// Where somebody counts those of several requests.
    counted: Option<AttemptCount>,
}

impl Tried {
    /// None yet; those to come are counted there, too.
    pub(crate) fn counted(counted: Option<AttemptCount>) -> Self {
        Self { counted, ..Self::default() }
    }

    /// Attempts that were begun.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// One more, on this endpoint. The oldest is forgotten when there are too many to remember.
    fn add(&self, id: u64) {
        self.counted.iter().for_each(AttemptCount::add);
        let at = self.count.fetch_add(1, Ordering::Relaxed) as usize;
        self.ids[at % AVOIDED_MAX].store(id, Ordering::Relaxed);
    }

    /// The last attempt was none: nothing left on a connection that had ended.
    pub(crate) fn take_back(&self) {
        self.counted.iter().for_each(AttemptCount::take_back);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Another endpoint than these, waiting for a place no longer than `patience`.
    pub(crate) async fn pick(
        &self,
        upstream: &Upstream,
        (key, priority): (Option<u64>, Priority),
        random: u64,
        patience: Duration,
    ) -> Result<Lease, Unavailable> {
        let ids: [u64; AVOIDED_MAX] = std::array::from_fn(|at| self.ids[at].load(Ordering::Relaxed));
        let count = self.count();
        let avoid = &ids[..AVOIDED_MAX.min(count as usize)];
        let want = Want { avoid, attempt: count + 1, key, priority, random };
        let lease = upstream.pick_or_wait(&want, patience).await?;
        self.add(lease.id());
        Ok(lease)
    }
}
