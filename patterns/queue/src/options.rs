//! What can be chosen for a queue.

use std::num::NonZeroU64;
use std::time::Duration;

use dozen_messaging::Policy;
use serde::{Deserialize, Serialize};

/// A queue's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How long a worker may hold a message before it is offered to another. Workers here extend it while they work.
    pub lease: Duration,
    /// How failures are retried, and when they become dead letters.
    pub policy: Policy,
    /// The largest payload that it takes, in bytes.
    pub bytes_max: u64,
    /// Senders are refused while this many messages wait. Looked at once a second, so that a burst may go beyond it.
    pub waiting_max: Option<NonZeroU64>,
    /// How long a finished message can still be looked up.
    pub keep: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            policy: Policy::default(),
            bytes_max: 1024 * 1024,
            waiting_max: None,
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
