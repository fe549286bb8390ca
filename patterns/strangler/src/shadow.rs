//! What is sent to the side that only watches.
//!
//! ```text
//!  request ─► primary ─► client                     never waits for anything below
//!      │         └ answer, kept as it passes ┐
//!      └ reserve bytes ── or dropped ────────┴► offer ── or dropped ─► queue ─► running_max at a time
//!                                                                                send · compare · learn · count
//! ```
//!
//! It comes after the primary, and gives way to it: bytes and places are asked for without waiting, and what gets none is
//! dropped and counted. It has its own connections ([`Sender`]), its own time-out and its own bounds, all features together.
//! A write is sent only in a mode that the file chooses.

mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Ids;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::budget::{Budget, Reserved};
use crate::compare::Answer;
use crate::decide::Decision;
use crate::feature::Feature;
use crate::send::{Request, Sender};

/// How much shadowing may take.
#[derive(Clone, Copy, Debug)]
pub struct ShadowOptions {
    /// Requests that wait.
    pub waiting_max: usize,
    /// Requests under way.
    pub running_max: usize,
    /// Bytes of requests and answers that are held.
    pub bytes_max: usize,
    /// How long one answer may take.
    pub patience: Duration,
}

impl Default for ShadowOptions {
    fn default() -> Self {
        Self {
            waiting_max: 256,
            running_max: 16,
            bytes_max: 16 * 1024 * 1024,
            patience: Duration::from_secs(5),
        }
    }
}

/// What the primary has answered.
#[derive(Clone, Debug)]
pub enum Primary {
    /// All of it.
    Whole(Answer),
    /// Its status alone: the body was too large to be kept.
    Status(u16),
    /// Nothing.
    Nothing,
}

impl Primary {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(answer) => Some(answer.status().as_u16()),
            Self::Status(status) => Some(*status),
            Self::Nothing => None,
        }
    }
}

/// One request for the side that watches.
#[derive(Debug)]
pub struct Job {
    /// Its feature.
    pub feature: Arc<Feature>,
    /// What was decided.
    pub decision: Decision,
    /// The request, as the primary got it.
    pub request: Request,
    /// What the primary has answered.
    pub primary: Primary,
    /// How long the head of that took.
    pub took: Duration,
    /// The bytes that all this takes.
    pub reserved: Reserved,
}

/// How much was shadowed, and how much was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Requests that were sent.
    pub sent: u64,
    /// Dropped because no bytes were left.
    pub over_budget: u64,
    /// Dropped because too many were waiting.
    pub queue_full: u64,
    /// Dropped because the service had no place for them, or what they need was not to be had.
    pub not_asked: u64,
    /// Sent, and without an answer.
    pub unanswered: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    over_budget: AtomicU64,
    queue_full: AtomicU64,
    not_asked: AtomicU64,
    unanswered: AtomicU64,
}

/// Sends copies of requests, and compares what comes back. Runs as a [`Service`].
pub struct Shadow {
    options: ShadowOptions,
    budget: Budget,
    queue: mpsc::Sender<Job>,
    waiting: Mutex<Option<mpsc::Receiver<Job>>>,
    sender: Arc<dyn Sender>,
    ids: Ids,
    counters: Counters,
}

impl Shadow {
    /// Shadowing through `sender`.
    pub fn new(options: ShadowOptions, sender: Arc<dyn Sender>, ids: Ids) -> Self {
        let (queue, waiting) = mpsc::channel(options.waiting_max.max(1));
        let budget = Budget::new(options.bytes_max);
        let waiting = Mutex::new(Some(waiting));
        Self { options, budget, queue, waiting, sender, ids, counters: Counters::default() }
    }

    /// Holds bytes for a request, before it is known how large its answer is. `None`, and counted, where none are left: then
    /// the request is not shadowed. [`Reserved::grow`] takes more as they come.
    pub fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let reserved = self.budget.reserve(bytes);
        if reserved.is_none() {
            self.counters.over_budget.fetch_add(1, Ordering::Relaxed);
        }
        reserved
    }

    /// Takes a request, if there is a place; never waits. Says whether it did.
    pub fn offer(&self, job: Job) -> bool {
        let taken = self.queue.try_send(job).is_ok();
        if !taken {
            self.counters.queue_full.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// What became of everything so far.
    pub fn counts(&self) -> ShadowCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowCounts {
            sent: read(&self.counters.sent),
            over_budget: read(&self.counters.over_budget),
            queue_full: read(&self.counters.queue_full),
            not_asked: read(&self.counters.not_asked),
            unanswered: read(&self.counters.unanswered),
        }
    }
}

#[async_trait]
impl Service for Shadow {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else { return Err("shadowing runs already".into()) };
        ready.ready();
        let mut jobs = JoinSet::new();
        loop {
            tokio::select! { biased;
                // Nobody waits for what is under way.
                () = stop.soft.cancelled() => break,
                Some(_) = jobs.join_next() => {}
                Some(job) = waiting.recv(), if jobs.len() < self.options.running_max.max(1) => {
                    jobs.spawn(self.clone().work(job));
                }
            }
        }
        jobs.shutdown().await;
        Ok(())
    }
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
