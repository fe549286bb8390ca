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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::Ids;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http::HeaderValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::budget::{Budget, Reserved};
use crate::compare::{Answer, Comparator, Compared, Differences, Kind};
use crate::decide::{Decision, is_safe};
use crate::feature::{Feature, Sampled};
use crate::noise::Counted;
use crate::options::ShadowWrites;
use crate::send::{Request, Sender, Unsent};
use crate::{Side, Stage, template};

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
    /// How long that took.
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
    /// Sent, and without an answer.
    pub unanswered: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    over_budget: AtomicU64,
    queue_full: AtomicU64,
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
            unanswered: read(&self.counters.unanswered),
        }
    }

    /// One request, from its sending to what it counts for.
    async fn work(self: Arc<Self>, job: Job) {
        let Some((primary, other)) = job.decision.side().zip(job.decision.shadow) else { return };
        let (feature, decision) = (&job.feature, &job.decision);
        let safe = is_safe(job.request.method().as_str());
        let began = Instant::now();
        let answered = self.ask(&job, other, safe).await;
        // An answer that is too large to be kept is an answer all the same.
        let status = match &answered {
            Ok(answer) => Some(answer.status().as_u16()),
            Err(Unsent::TooLarge(_)) => Some(200),
            Err(_) => None,
        };
        feature.paired(decision, primary, job.primary.status(), job.took);
        feature.paired(decision, other, status, began.elapsed());
        if decision.stage < Stage::Compare {
            return;
        }
        let compared = match (&job.primary, answered) {
            (Primary::Whole(mine), Ok(theirs)) => {
                if decision.twice {
                    self.learn(&job, primary, mine, &theirs).await;
                }
                self.compare(&job, primary, mine.clone(), theirs).await
            }
            (_, Err(unsent)) if other == Side::New && !matches!(unsent, Unsent::TooLarge(_)) => {
                no_answer(&unsent.to_string())
            }
            (Primary::Nothing, Ok(_)) if primary == Side::New => no_answer("no answer"),
            _ => Compared::Incomparable("one side's answer is not there in full".into()),
        };
        let mut counted = feature.noise_of().judge(&compared, &feature.options().compare.noise);
        let mut shown = compared;
        if counted == Counted::Differs && safe {
            // What has only been late, on its way from one side's data to the other's, is no difference.
            tokio::time::sleep(feature.options().compare.confirm_after).await;
            let (again, other_again) =
                tokio::join!(self.ask(&job, primary, true), self.ask(&job, other, true));
            if let (Ok(mine), Ok(theirs)) = (again, other_again) {
                shown = self.compare(&job, primary, mine, theirs).await;
                counted = feature.noise_of().judge(&shown, &feature.options().compare.noise);
            }
        }
        feature.compared(decision, counted);
        if let (Counted::Differs, Compared::Different(differences)) = (counted, shown) {
            let request = format!("{} {}", job.request.method(), template(job.request.uri().path()));
            let (at, more) = (self.ids.clock().now(), differences.more);
            feature.sampled(Sampled { at, request, differences: differences.shown, more });
        }
    }

    /// Asks the old side once more, and learns where it differs from itself.
    async fn learn(&self, job: &Job, primary: Side, mine: &Answer, theirs: &Answer) {
        let first = if primary == Side::Old { mine } else { theirs };
        if let Ok(second) = self.ask(job, Side::Old, true).await {
            let replayed = self.compared(job, first.clone(), second, Comparator::replayed).await;
            job.feature.noise_of().learn(&replayed);
        }
    }

    async fn compare(&self, job: &Job, primary: Side, mine: Answer, theirs: Answer) -> Compared {
        match primary {
            Side::Old => self.compared(job, mine, theirs, Comparator::compare).await,
            Side::New => self.compared(job, theirs, mine, Comparator::compare).await,
        }
    }

    /// Compares; large bodies on a thread where nobody waits for them.
    async fn compared(&self, job: &Job, one: Answer, other: Answer, compare: Comparing) -> Compared {
        let feature = job.feature.clone();
        if one.body().len() + other.body().len() <= INLINE_MAX {
            return compare(feature.comparator(), &one, &other);
        }
        let comparing = tokio::task::spawn_blocking(move || compare(feature.comparator(), &one, &other));
        comparing.await.unwrap_or_else(|_| Compared::Incomparable("the comparison was cut short".into()))
    }

    async fn ask(&self, job: &Job, side: Side, safe: bool) -> Result<Answer, Unsent> {
        let mut request = job.request.clone();
        let headers = request.headers_mut();
        headers.insert("dozen-shadow", HeaderValue::from_static(side.name()));
        headers.insert("accept-encoding", HeaderValue::from_static("identity"));
        if !safe {
            match job.feature.options().writes.shadow {
                ShadowWrites::Sandbox => {
                    headers.insert("dozen-sandbox", HeaderValue::from_static("true"));
                }
                ShadowWrites::IdempotencyKey if !headers.contains_key("idempotency-key") => {
                    if let Ok(key) = HeaderValue::from_str(&self.ids.next().to_string()) {
                        headers.insert("idempotency-key", key);
                    }
                }
                _ => {}
            }
        }
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
        let service = job.feature.service(side);
        let sending = self.sender.send(service, request, job.feature.options().compare.body_max);
        let answered =
            tokio::time::timeout(self.options.patience, sending).await.unwrap_or(Err(Unsent::TimedOut));
        if answered.is_err() {
            self.counters.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        answered
    }
}

/// How two answers are compared.
type Comparing = fn(&Comparator, &Answer, &Answer) -> Compared;

/// Bytes of two bodies that are compared where they are: well below a tenth of a millisecond a side.
const INLINE_MAX: usize = 32 * 1024;

/// An answer that never came differs from one that did.
fn no_answer(instead: &str) -> Compared {
    let place = "status".to_owned();
    let difference = crate::compare::Difference {
        path: place.clone(),
        kind: Kind::Status,
        old: "an answer".into(),
        new: instead.to_owned(),
    };
    Compared::Different(Differences { shown: vec![difference], more: 0, places: Some([place].into()) })
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
