//! Connections of HTTP/2 to endpoints: one for each, shared by all requests of a worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::client::conn::http2::SendRequest;

use super::pool::Key;
use crate::upstream::EndpointState;
use crate::{Body, Lease};

/// Sends requests on one connection of HTTP/2.
pub(super) type Sender = SendRequest<Body>;

/// By endpoint. A connection that is taken out lives on until its streams have ended.
#[derive(Default)]
pub(super) struct Senders(Mutex<HashMap<Key, Open>>);

struct Open {
    sender: Sender,
    used: u64,
    state: Arc<EndpointState>,
}

impl Senders {
    fn open(&self) -> MutexGuard<'_, HashMap<Key, Open>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection to an endpoint, if there is one that still takes requests.
    pub(super) fn get(&self, key: Key, now: u64) -> Option<Sender> {
        let mut open = self.open();
        let Open { sender, used, .. } = open.get_mut(&key)?;
        if sender.is_closed() {
            open.remove(&key);
            return None;
        }
        *used = now;
        Some(sender.clone())
    }

    pub(super) fn put(&self, lease: &Lease, key: Key, sender: Sender, now: u64) {
        self.open().insert(key, Open { sender, used: now, state: lease.state.clone() });
    }

    pub(super) fn forget(&self, key: Key) {
        self.open().remove(&key);
    }

    /// Lets go of what has ended, was last used before `oldest`, or leads to an endpoint that is not in the set any more.
    pub(super) fn sweep(&self, oldest: u64) {
        self.open()
            .retain(|_, open| !open.sender.is_closed() && open.used >= oldest && open.state.is_in_use());
    }
}
