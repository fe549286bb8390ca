//! The loop between a subscriber and a handler.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Backoff, Ids, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop, or_never};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Delivery, Lease, Policy, Rate, Subscriber};

/// What became of a delivery, in the handler's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Handled.
    Done,
    /// Not handled; trying again may help.
    Failed(String),
    /// Not handled, and trying again will not help: a dead letter at once.
    Poison(String),
    /// Not now; again after this long. Counts as an attempt.
    Later(Duration),
    /// Not wanted; forget it.
    Drop(String),
    /// The handler has settled it by itself, or found that it is no longer its to settle.
    Settled,
}

/// Does something with a message.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one delivery. A panic counts as [`Verdict::Failed`].
    async fn handle(&self, delivery: &Delivery) -> Verdict;
}

/// How much a worker takes on.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// Deliveries handled at once.
    pub running_max: usize,
    /// Deliveries held ready beyond those, so that a quick handler never waits for the next. Their leases are kept alive,
    /// and other workers do not get them.
    pub prefetch: usize,
    /// How many may begin in a second. `None` is no limit.
    pub per_second: Option<f64>,
    /// What happens on failure.
    pub policy: Policy,
    /// How long one `receive` waits. Engines make up for lost wake-ups themselves.
    pub wait: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            running_max: 16,
            prefetch: 0,
            per_second: None,
            policy: Policy::default(),
            wait: Duration::from_secs(600),
        }
    }
}

/// Receives, handles and settles until it is stopped.
pub struct Worker {
    name: String,
    subscriber: Arc<dyn Subscriber>,
    handler: Arc<dyn Handler>,
    options: WorkerOptions,
    running: Semaphore,
    rate: Option<Rate>,
    ids: Ids,
}

impl Worker {
    /// A worker called `name` in logs.
    pub fn new(
        name: impl Into<String>,
        subscriber: Arc<dyn Subscriber>,
        handler: Arc<dyn Handler>,
        options: WorkerOptions,
        ids: Ids,
    ) -> Self {
        let running = Semaphore::new(options.running_max.max(1));
        let rate = options.per_second.map(Rate::new);
        Self { name: name.into(), subscriber, handler, options, running, rate, ids }
    }

    /// One delivery, from the handler to its settlement, with the lease kept alive in between.
    async fn work(self: Arc<Self>, delivery: Delivery, stop: Stop) {
        let lease = delivery.lease;
        let attempts = delivery.attempts;
        // A message that outlived its last attempt without a verdict killed its worker each time.
        let verdict = if attempts > self.options.policy.attempts_max {
            Verdict::Poison(format!("was handed out {} times without a verdict", attempts - 1))
        } else {
            tokio::select! {
                verdict = self.in_turn(delivery, &stop) => verdict,
                () = self.keep(lease) => {
                    tracing::warn!(worker = self.name, position = lease.position, "lost its lease; work cut");
                    return;
                }
                () = stop.hard.cancelled() => return, // the lease ends by itself, and another worker takes over
            }
        };
        let (now, random) = (self.ids.clock().now(), self.ids.random());
        let Some(settlement) = self.options.policy.decide(verdict, attempts, now, random) else { return };
        match self.subscriber.settle(vec![(lease, settlement)]).await {
            Ok(settled) if settled == [true] => {}
            Ok(_) => tracing::warn!(worker = self.name, position = lease.position, "lease had passed on"),
            Err(error) => tracing::warn!(worker = self.name, error = chain(&error), "cannot settle"),
        }
    }

    /// Runs the handler when it is this delivery's turn. One whose turn has not come when the worker stops is handed back.
    async fn in_turn(&self, delivery: Delivery, stop: &Stop) -> Verdict {
        let turn = async {
            let permit = self.running.acquire().await;
            if let Some(rate) = &self.rate {
                rate.turn().await;
            }
            permit
        };
        tokio::select! { biased;
            permit = turn => {
                let verdict = self.guarded(delivery).await;
                drop(permit);
                verdict
            }
            () = stop.soft.cancelled() => Verdict::Later(Duration::ZERO),
        }
    }

    /// Runs the handler in a task of its own, so that a panic is a verdict.
    async fn guarded(&self, delivery: Delivery) -> Verdict {
        let handler = self.handler.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { handler.handle(&delivery).await });
        match task.join_next().await {
            Some(Ok(verdict)) => verdict,
            Some(Err(error)) if error.is_panic() => Verdict::Failed("the handler panicked".into()),
            _ => Verdict::Failed("the handler was cancelled".into()),
        }
    }

    /// Extends the lease each third of its length; returns when it is lost.
    async fn keep(&self, lease: Lease) {
        let step = self.subscriber.lease() / 3;
        loop {
            tokio::time::sleep(step).await;
            match self.subscriber.extend(&[lease]).await {
                Ok(kept) if kept == [true] => {}
                Ok(_) => return,
                Err(error) => tracing::warn!(worker = self.name, error = chain(&error), "cannot extend"),
            }
        }
    }
}

#[async_trait]
impl Service for Worker {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut jobs = JoinSet::new();
        let mut failures = 0;
        // Kept over the turns of the loop: a call that is dropped may already have leased what nobody then handles.
        let mut receiving = None;
        loop {
            let room = self.options.running_max.max(1) + self.options.prefetch;
            let free = room.saturating_sub(jobs.len());
            if receiving.is_none() && free > 0 {
                receiving = Some(self.subscriber.receive(free, self.options.wait));
            }
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                Some(_) = jobs.join_next() => {}
                received = or_never(receiving.as_mut()) => { receiving = None; match received {
                    Ok(deliveries) => {
                        failures = 0;
                        for delivery in deliveries {
                            jobs.spawn(self.clone().work(delivery, stop.clone()));
                        }
                    }
                    // The store is away: wait with back-off rather than spin, and carry on.
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(worker = self.name, error = chain(&error), "cannot receive");
                        let pause = RECEIVE_BACKOFF.delay(failures, self.ids.random());
                        tokio::select! {
                            () = stop.soft.cancelled() => break,
                            () = tokio::time::sleep(pause) => {}
                        }
                    }
                } }
            }
        }
        drop(receiving);
        while jobs.join_next().await.is_some() {}
        Ok(())
    }
}

/// Between two attempts to reach a store that does not answer.
const RECEIVE_BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), cap: Duration::from_secs(5) };
