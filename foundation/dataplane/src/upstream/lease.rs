//! A request's claim on an endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::endpoint::EndpointState;
use crate::moment::Moment;
use crate::resilience::Trial;

/// In flight until it is dropped. Whoever holds it says once how the request ended; one that is dropped without a word
/// (its client went away) counts as neither good nor bad.
#[derive(Debug)]
pub struct Lease {
    pub(crate) state: Arc<EndpointState>,
    pub(super) sent: Moment,
    pub(super) trial: Option<Trial>,
    heard: AtomicU64,
    is_settled: AtomicBool,
}

impl Lease {
    /// Takes over the place that was counted in for it.
    pub(super) fn new(state: &Arc<EndpointState>, sent: Moment, trial: Option<Trial>) -> Self {
        state.enter();
        Self {
            state: state.clone(),
            sent,
            trial,
            heard: AtomicU64::new(0),
            is_settled: AtomicBool::new(false),
        }
    }

    /// `host:port`.
    pub fn address(&self) -> &Arc<str> {
        &self.state.address
    }

    /// What to hand to `pick` to get another endpoint.
    pub fn id(&self) -> u64 {
        self.state.id
    }

    /// The answer began at `now`. Only the first time counts.
    pub(super) fn hear(&self, now: Moment) {
        let _ = self.heard.compare_exchange(0, now.0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// True the first time.
    pub(super) fn settle(&self) -> bool {
        !self.is_settled.swap(true, Ordering::Relaxed)
    }

    /// How long the answer took to begin, or else until `now`.
    pub(super) fn latency(&self, now: Moment) -> Duration {
        match self.heard.load(Ordering::Relaxed) {
            0 => now.since(self.sent),
            heard => Moment(heard).since(self.sent),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.leave();
        if let Some(trial) = self.trial
            && !*self.is_settled.get_mut()
        {
            self.state.service.breaker.forgone(trial);
        }
        self.state.service.release();
    }
}
