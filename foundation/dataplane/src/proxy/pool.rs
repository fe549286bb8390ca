//! Connections to endpoints, kept by one worker.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use crate::stream::Stream;
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

/// By endpoint. The lock is the worker's own and never contended; it makes the worker's futures movable.
pub(super) struct Pool {
    kept: Mutex<HashMap<Key, Vec<Kept>>>,
    kept_max: usize,
}

impl Pool {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept: Mutex::default(), kept_max }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection used last, if one is kept on which nothing has happened since.
    pub(super) fn take(&self, key: Key) -> Option<Stream> {
        let mut kept = self.kept();
        let of_endpoint = kept.get_mut(&key)?;
        while let Some(Kept { mut stream, .. }) = of_endpoint.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        None
    }

    pub(super) fn put(&self, key: Key, stream: Stream, now: u64) {
        let mut kept = self.kept();
        let of_endpoint = kept.entry(key).or_default();
        if of_endpoint.len() < self.kept_max {
            of_endpoint.push(Kept { stream, since: now });
        }
    }

    /// Drops all connections to an endpoint: one of them was dead, so the others are likely to be.
    pub(super) fn forget(&self, key: Key) {
        self.kept().remove(&key);
    }

    /// Drops what was kept since before `oldest`.
    pub(super) fn sweep(&self, oldest: u64) {
        self.kept().retain(|_, of_endpoint| {
            of_endpoint.retain(|kept| kept.since >= oldest);
            !of_endpoint.is_empty()
        });
    }
}
