//! Keys from somewhere else, fetched beside the requests and never by them.
//!
//! ```text
//!            fetched              refresh              stale-max
//!               │ fresh              │ being refreshed     │ too old
//!  away ────────┼────────────────────┼─────────────────────┼──────────► time
//!  503          │ used               │ used                │ 503, whoever asks
//! ```
//!
//! One task refreshes: in time, and when a token names a key that is not known, but never within `cool-down` of the last
//! attempt. So there is one fetch at a time, and a flood of unknown key names costs the issuer one fetch in each
//! `cool-down`. A request that hits an unknown name waits for the fetch that is due or under way; within the cool-down it
//! is refused at once.
//!
//! Nothing waits for keys at the start: until the first fetch, requests wait for it. When the source is away the keys are
//! used until `stale-max` after their last fetch, tokens that are known already included: a key that was withdrawn must
//! not work for ever because the one who withdrew it cannot be heard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::call::Callers;
use super::key::KeySet;
use super::source::Source;
use crate::keeper::Upkeep;

/// When keys are fetched, and for how long they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// From one fetch to the next.
    pub(crate) refresh: Duration,
    /// Between two attempts.
    pub(crate) cool_down: Duration,
    /// For one attempt.
    pub(crate) timeout: Duration,
    /// From the last fetch to the end of its use.
    pub(crate) stale_max: Duration,
}

/// The keys of one source. Shared by everything that names the source, also by the next configuration.
pub struct Keys {
    name: String,
    source: Source,
    timing: Timing,
    current: ArcSwap<Current>,
    attempts: watch::Sender<Attempts>,
    nudge: Arc<Notify>,
    callers: Arc<Callers>,
}

/// The keys as they stand.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) set: Arc<KeySet>,
    /// Grows when the keys change: what was verified with others has to be verified again.
    pub(crate) generation: u64,
    fetched: Option<Instant>,
    document: Bytes,
}

#[derive(Clone, Debug, Default)]
struct Attempts {
    begun: u64,
    ended: u64,
    last: Option<Instant>,
    problem: Option<String>,
}

/// What can be said of keys, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeysHealth {
    /// Where they come from.
    pub source: String,
    /// How many can be used.
    pub keys: usize,
    /// How many are of kinds or for purposes that are ignored.
    pub ignored: usize,
    /// Seconds since they were fetched.
    pub age_seconds: Option<u64>,
    /// Whether tokens can be verified with them at this moment.
    pub usable: bool,
    /// Why the last attempt to fetch them failed.
    pub problem: Option<String>,
}

impl Keys {
    pub(crate) fn new(
        name: String,
        source: Source,
        timing: Timing,
        set: KeySet,
        callers: Arc<Callers>,
    ) -> Self {
        let current = Current { set: Arc::new(set), generation: 0, fetched: None, document: Bytes::new() };
        Self {
            name,
            source,
            timing,
            current: ArcSwap::from_pointee(current),
            attempts: watch::channel(Attempts::default()).0,
            nudge: Arc::default(),
            callers,
        }
    }

    /// The keys, if they may be used at `now`.
    pub(crate) fn usable(&self, now: Instant) -> Option<Guard<Arc<Current>>> {
        let current = self.current.load();
        let usable = match (&self.source, current.fetched) {
            (Source::Fixed, _) => true,
            (_, Some(fetched)) => now.saturating_duration_since(fetched) < self.timing.stale_max,
            (_, None) => false,
        };
        usable.then_some(current)
    }

    /// Waits for the fetch that is under way, or asks for one; `None` when it is too early for another.
    pub(crate) fn refetch(&self, now: Instant) -> Option<BoxFuture<'static, ()>> {
        if self.source == Source::Fixed {
            return None;
        }
        let mut watching = self.attempts.subscribe();
        let (begun, ended, last) = {
            let attempts = watching.borrow();
            (attempts.begun, attempts.ended, attempts.last)
        };
        if begun == ended {
            if last.is_some_and(|last| now.saturating_duration_since(last) < self.timing.cool_down) {
                return None;
            }
            self.nudge.notify_one();
        }
        let limit = self.timing.timeout + Duration::from_secs(1);
        Some(Box::pin(async move {
            let fetched = watching.wait_for(|attempts| attempts.ended > ended);
            // Whoever waited too long looks at the keys that there are.
            let _ = tokio::time::timeout(limit, fetched).await;
        }))
    }

    /// How they are.
    pub fn health(&self) -> KeysHealth {
        let now = tokio::time::Instant::now().into_std();
        let current = self.current.load();
        let age = current.fetched.map(|fetched| now.saturating_duration_since(fetched).as_secs());
        KeysHealth {
            source: self.name.clone(),
            keys: current.set.len(),
            ignored: current.set.ignored,
            age_seconds: age,
            usable: self.usable(now).is_some(),
            problem: self.attempts.borrow().problem.clone(),
        }
    }

    /// Fetches now, and tells everybody who waits. A failure changes nothing but what is said of it.
    async fn fetch(&self) -> Result<(), String> {
        let now = || tokio::time::Instant::now().into_std();
        self.attempts.send_modify(|attempts| {
            attempts.begun += 1;
            attempts.last = Some(now());
        });
        let fetched = tokio::time::timeout(
            self.timing.timeout,
            self.source.document(self.callers.beside(), self.timing.timeout),
        )
        .await;
        let taken = fetched.unwrap_or_else(|_| Err("it took too long".into())).and_then(|document| {
            let current = self.current.load();
            if document == current.document {
                self.current.store(Arc::new(Current { fetched: Some(now()), ..(**current).clone() }));
                return Ok(());
            }
            let set = Arc::new(KeySet::read(&document, self.source.readers())?);
            let generation = current.generation + 1;
            tracing::info!(keys = set.len(), ignored = set.ignored, source = %self.name, "the keys are taken");
            self.current.store(Arc::new(Current { set, generation, fetched: Some(now()), document }));
            Ok(())
        });
        self.attempts.send_modify(|attempts| {
            attempts.ended += 1;
            attempts.problem = taken.as_ref().err().cloned();
        });
        taken
    }
}

#[async_trait]
impl Upkeep for Keys {
    fn nudge(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    async fn turn(&self) -> Duration {
        let last = self.attempts.borrow().last;
        let since = last.map(|last| tokio::time::Instant::now().into_std().saturating_duration_since(last));
        if let Some(since) = since.filter(|since| *since < self.timing.cool_down) {
            return self.timing.cool_down - since;
        }
        match self.fetch().await {
            Ok(()) => self.timing.refresh,
            Err(problem) => {
                let usable = self.usable(tokio::time::Instant::now().into_std()).is_some();
                tracing::warn!(source = %self.name, problem, usable, "the keys cannot be fetched; trying again");
                self.timing.cool_down
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("name", &self.name).finish_non_exhaustive()
    }
}
