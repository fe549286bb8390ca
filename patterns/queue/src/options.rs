//! What can be chosen for a queue, and for one message.

use std::num::NonZeroU64;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_messaging::Policy;
use serde::{Deserialize, Serialize};

/// A queue's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// How many messages of one key may be out at a time. With 1 their order is strict.
    pub per_key: u32,
    /// How many priorities there are, 1 to [`Options::PRIORITIES_MAX`]. A message of a higher one is handed out before
    /// all of the lower ones; the order of a key holds within a priority.
    pub priorities: u8,
    /// How long a message may wait before it is dropped, unless it says otherwise.
    pub expire: Option<Duration>,
    /// How many a worker may begin in a second.
    pub per_second: Option<f64>,
    /// How many a worker holds ready beyond those that it handles.
    pub prefetch: usize,
    /// Whether payloads are sealed: who sends or receives must have the application's keys.
    pub sealed: bool,
}

impl Options {
    /// The most priorities that a queue may have.
    pub const PRIORITIES_MAX: u8 = 10;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            policy: Policy::default(),
            bytes_max: 1024 * 1024,
            waiting_max: None,
            keep: Duration::from_secs(7 * 24 * 3600),
            per_key: 1,
            priorities: 1,
            expire: None,
            per_second: None,
            prefetch: 0,
            sealed: false,
        }
    }
}

/// How messages are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Nobody is handed them before this moment.
    pub due: Option<Timestamp>,
    /// 0 is the lowest; must be below the queue's number of priorities.
    pub priority: u8,
    /// Dropped when they are not handed out by this moment. `None` is the queue's own `expire`.
    pub expires: Option<Timestamp>,
    /// Refused as a duplicate when something was sent under the same name less than so long ago.
    pub unique: Option<(String, Duration)>,
}

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the queue, durably.
    New(dozen_core::Token),
    /// Something was sent under its unique name before; nothing was added.
    Duplicate {
        /// The id of what was sent then.
        of: String,
    },
}
