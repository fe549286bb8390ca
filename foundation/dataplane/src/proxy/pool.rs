//! Connections to endpoints, kept by one worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::stream::Stream;
use crate::upstream::EndpointState;
use crate::{Lease, Transport};

struct Kept {
    stream: Stream,
    since: u64,
}

/// An endpoint, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    endpoint: u64,
    transport: u64,
}

impl Key {
    pub(super) fn new(lease: &Lease, transport: Option<&Transport>) -> Self {
        Self { endpoint: lease.id(), transport: transport.map_or(0, |transport| transport.id) }
    }
}

/// The connections to one endpoint.
struct OfEndpoint {
    kept: Vec<Kept>,
    state: Arc<EndpointState>,
    /// When one was last asked for.
    asked: u64,
}

/// By endpoint. The lock is the worker's own and never contended; it makes the worker's futures movable. What leads to an
/// endpoint that is not in the set any more is not kept: nobody would ask for it again.
pub(super) struct Pool {
    kept: Mutex<HashMap<Key, OfEndpoint>>,
    kept_max: usize,
}

impl Pool {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept: Mutex::default(), kept_max }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, OfEndpoint>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection used last, if one is kept on which nothing has happened since.
    pub(super) fn take(&self, lease: &Lease, key: Key, now: u64) -> Option<Stream> {
        let mut kept = self.kept();
        let new = || OfEndpoint { kept: Vec::new(), state: lease.state.clone(), asked: now };
        let of_endpoint = kept.entry(key).or_insert_with(new);
        of_endpoint.asked = now;
        while let Some(Kept { mut stream, .. }) = of_endpoint.kept.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        None
    }

    pub(super) fn put(&self, key: Key, stream: Stream, now: u64) {
        let mut kept = self.kept();
        let Some(of_endpoint) = kept.get_mut(&key) else { return };
        if of_endpoint.kept.len() < self.kept_max && of_endpoint.state.is_in_use() {
            of_endpoint.kept.push(Kept { stream, since: now });
        }
    }

    /// Drops all connections to an endpoint: one of them was dead, so the others are likely to be.
    pub(super) fn forget(&self, key: Key) {
        self.kept().entry(key).and_modify(|of_endpoint| of_endpoint.kept.clear());
    }

    /// Drops what was kept since before `oldest`, and what leads nowhere.
    pub(super) fn sweep(&self, oldest: u64) {
        self.kept().retain(|_, of_endpoint| {
            of_endpoint.kept.retain(|kept| kept.since >= oldest);
            of_endpoint.state.is_in_use() && (!of_endpoint.kept.is_empty() || of_endpoint.asked >= oldest)
        });
    }
}
