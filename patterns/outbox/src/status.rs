//! How a relay shows itself.

use dozen_core::{Mutex, Timestamp};
use dozen_messaging::CircuitStatus;
use serde::Serialize;

/// One topic of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// The topic.
    pub topic: String,
    /// Where its messages go.
    pub destination: String,
    /// Messages that have not been carried yet; dead letters are not among them.
    pub backlog: u64,
    /// When the oldest of those was stored.
    pub oldest: Option<Timestamp>,
    /// Messages that the destination will never take.
    pub dead_letters: u64,
    /// What this process has done and seen.
    #[serde(flatten)]
    pub here: Here,
}

/// What one process has carried and met since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Here {
    /// Messages that the destination has taken.
    pub carried_total: u64,
    /// Attempts that failed as a whole: the destination was away.
    pub failures_total: u64,
    /// Messages that were refused for ever.
    pub refused_total: u64,
    /// Messages whose lease had passed on when they were settled: somebody else sent them too.
    pub overtaken_total: u64,
    /// Whether the destination is sent to, and what it last said where it is not.
    pub circuit: CircuitStatus,
    /// The latest error of the store that is read; none once it answers again.
    pub source_error: Option<String>,
}

/// A [`Here`] that is written by a lane and read by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<Here>);

impl Gauge {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Here)) {
        change(&mut self.0.lock());
    }

    pub(crate) fn read(&self) -> Here {
        self.0.lock().clone()
    }
}
