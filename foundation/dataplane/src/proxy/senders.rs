//! Connections of HTTP/2 to endpoints: one for each, shared by all requests of a worker.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use hyper::client::conn::http2::SendRequest;

use super::pool::Key;
use crate::Body;

/// Sends requests on one connection of HTTP/2.
pub(super) type Sender = SendRequest<Body>;

/// By endpoint. A connection that is taken out lives on until its streams have ended.
#[derive(Default)]
pub(super) struct Senders(Mutex<HashMap<Key, (Sender, u64)>>);

impl Senders {
    fn open(&self) -> MutexGuard<'_, HashMap<Key, (Sender, u64)>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection to an endpoint, if there is one that still takes requests.
    pub(super) fn get(&self, key: Key, now: u64) -> Option<Sender> {
        let mut open = self.open();
        let (sender, used) = open.get_mut(&key)?;
        if sender.is_closed() {
            open.remove(&key);
            return None;
        }
        *used = now;
        Some(sender.clone())
    }

    pub(super) fn put(&self, key: Key, sender: Sender, now: u64) {
        self.open().insert(key, (sender, now));
    }

    pub(super) fn forget(&self, key: Key) {
        self.open().remove(&key);
    }

    /// Lets go of what has ended, or was last used before `oldest`.
    pub(super) fn sweep(&self, oldest: u64) {
        self.open().retain(|_, (sender, used)| !sender.is_closed() && *used >= oldest);
    }
}
