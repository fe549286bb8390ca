//! One service: where its policy, its roster and what all its requests share come together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use dozen_core::EndpointSet;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::roster::Roster;
use super::shared::{Shared, count};
use super::source::Source;
use super::{Lease, ServicePolicy, Unavailable, Want};
use crate::Transport;
use crate::moment::Monotonic;
use crate::resilience::{Attempt, Decision, GiveUp};

/// A service that this process calls.
pub struct Upstream {
    pub(super) name: Arc<str>,
    pub(super) clock: Arc<dyn Monotonic>,
    source: Mutex<Source>,
    pub(super) roster: ArcSwap<Roster>,
    turn: AtomicU64,
    pub(super) shared: Arc<Shared>,
    transport: ArcSwapOption<Transport>,
    /// Whether its last answer was a large one.
    large: AtomicBool,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("service", &self.name).finish_non_exhaustive()
    }
}

impl Upstream {
    pub(super) fn new(
        name: &str,
        watching: watch::Receiver<Arc<EndpointSet>>,
        policy: Arc<ServicePolicy>,
        clock: Arc<dyn Monotonic>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let mut source = Source::new(watching);
        let roster = source.next(None, policy, clock.now(), &shared);
        Self {
            name: name.into(),
            clock,
            source: Mutex::new(source),
            roster: ArcSwap::from_pointee(roster),
            turn: AtomicU64::new(0),
            shared,
            transport: ArcSwapOption::empty(),
            large: AtomicBool::new(false),
        }
    }

    /// The service's name.
    pub fn service(&self) -> &Arc<str> {
        &self.name
    }

    /// How it is called at the moment.
    pub fn policy(&self) -> Arc<ServicePolicy> {
        self.roster.load().policy.clone()
    }

    /// Whether requests are sent again, or twice, that may have arrived.
    pub fn repeats(&self) -> bool {
        self.roster.load().policy.repeats()
    }

    /// How it is spoken to at the moment; plain HTTP/1.1 without.
    pub fn transport(&self) -> Option<Arc<Transport>> {
        self.transport.load_full()
    }

    pub(super) fn speak(&self, transport: Option<Arc<Transport>>) {
        self.transport.store(transport);
    }

    /// Whether its last answer was a large one: the next one is likely to be.
    pub(crate) fn is_large(&self) -> bool {
        self.large.load(Ordering::Relaxed)
    }

    /// Notes whether an answer was a large one. All workers read what this writes, so it is written only if it changes.
    pub(crate) fn note_large(&self, is_large: bool) {
        if self.is_large() != is_large {
            self.large.store(is_large, Ordering::Relaxed);
        }
    }

    /// Chooses an endpoint and counts the request in, or says at once why not.
    pub fn pick(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        let picked = self.try_pick(want);
        match picked {
            Ok(_) => count(&self.shared.counters.requests),
            Err(why) => self.shared.refused(why),
        }
        picked
    }

    fn try_pick(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        let roster = self.roster();
        let now = self.clock.now();
        let state = roster.choose(want, now, &self.turn, self.shared.in_flight())?;
        let trial = self.shared.admit(want, now, &roster.policy)?;
        Ok(Lease::new(state, now, trial))
    }

    /// The same, but waits up to `patience` while as many requests are in flight as are allowed, if there is a place
    /// among those that wait (`pending-max`). Dropping the future gives the place back.
    pub async fn pick_or_wait(&self, want: &Want<'_>, patience: Duration) -> Result<Lease, Unavailable> {
        let first = self.try_pick(want);
        let picked = match first {
            // Boxed: nearly no request waits.
            Err(Unavailable::Full) => Box::pin(self.wait(want, Instant::now() + patience)).await,
            first => first,
        };
        match picked {
            Ok(_) => count(&self.shared.counters.requests),
            Err(why) => self.shared.refused(why),
        }
        picked
    }

    async fn wait(&self, want: &Want<'_>, until: Instant) -> Result<Lease, Unavailable> {
        let pending_max = self.roster.load().policy.pending_max;
        let place = self.shared.queue(pending_max).ok_or(Unavailable::Full)?;
        loop {
            match self.try_pick(want) {
                Err(Unavailable::Full) => {}
                other => return other,
            }
            if timeout_at(until, place.room()).await.is_err() {
                return Err(Unavailable::Full);
            }
        }
    }

    /// Whether a failed attempt is followed by another. One that is has been paid for.
    pub fn retry(&self, attempt: &Attempt) -> Decision {
        let (roster, now) = (self.roster.load(), self.clock.now());
        let policy = &roster.policy;
        let decision = policy.retry.decide(attempt, || self.shared.budget.withdraw(now, &policy.budget));
        match decision {
            Decision::Retry { .. } => count(&self.shared.counters.retries),
            Decision::GiveUp(GiveUp::Budget) => count(&self.shared.counters.retries_refused),
            Decision::GiveUp(_) => {}
        }
        decision
    }

    /// How long to wait for an answer before the request is sent a second time, if it is to be. `sent` counts how often it
    /// is on its way; `may_repeat` says that it is idempotent, its body at hand, and nobody else repeats it; `left` is the
    /// time until the caller's deadline.
    pub fn hedge_after(&self, sent: u32, may_repeat: bool, left: Option<Duration>) -> Option<Duration> {
        let roster = self.roster.load();
        let usual = |percent| self.shared.latencies.quantile_lately(self.clock.now(), percent);
        roster.policy.hedge?.wait(sent, may_repeat, left, usual)
    }

    /// Pays for a hedge whose wait is over, or says that there is nothing left.
    pub fn may_hedge(&self) -> bool {
        let may = self.shared.budget.withdraw(self.clock.now(), &self.roster.load().policy.budget);
        count(if may { &self.shared.counters.hedges } else { &self.shared.counters.retries_refused });
        may
    }

    pub(super) fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The newest roster, unless another thread is just making it.
    pub(super) fn roster(&self) -> Guard<Arc<Roster>> {
        let roster = self.roster.load();
        if !roster.is_stale(|| self.clock.now()) {
            return roster;
        }
        let mut source = match self.source.try_lock() {
            Ok(source) => source,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return roster,
        };
        let policy = self.roster.load().policy.clone();
        self.rebuild(&mut source, policy);
        self.roster.load()
    }

    /// Calls it by `policy` from now on.
    pub(super) fn configure(&self, policy: Arc<ServicePolicy>) {
        let mut source = self.source();
        if policy.breaker.is_none() {
            self.shared.breaker.reset();
        }
        self.rebuild(&mut source, policy);
    }

    /// Stays as it is, for those who have it: another service may take its name.
    pub(super) fn part(&self) {
        let mut source = self.source();
        source.part();
        let policy = self.roster.load().policy.clone();
        self.rebuild(&mut source, policy);
        // Connections that come back are not kept for anybody.
        self.roster.load().members.iter().for_each(|member| member.state.set_in_use(false));
    }

    fn rebuild(&self, source: &mut Source, policy: Arc<ServicePolicy>) {
        let old = self.roster.load();
        let next = source.next(Some(&old), policy, self.clock.now(), &self.shared);
        if next.kept_until.is_some() && old.kept_until.is_none() {
            tracing::warn!(
                service = &*self.name,
                "the registry gives fewer endpoints than it should; the last set stays in use for a while"
            );
        }
        self.roster.store(Arc::new(next));
    }
}
