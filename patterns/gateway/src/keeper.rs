//! What outlives a configuration, by name, and the tasks that keep it.
//!
//! A change of the file builds everything anew; keys that were fetched, tokens that were verified and budgets that were
//! used must not begin anew with it. Whoever compiles a configuration asks the [`Keeper`] for them. It gives what the last
//! one used, as long as the options are the same, and forgets what nobody uses any more. It runs beside the gateway, as a
//! [`Service`], and owns the tasks that refresh keys and synchronise limits.

mod named;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::span::Recorder;
use dozen_core::{Ids, Mutex};
use dozen_dataplane::{Caller, Sockets};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_store::Store;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Features;
use crate::access::ConsumerTable;
use crate::auth::{
    Callers, Introspect, IntrospectOptions, Jwt, JwtOptions, Keys, KeysHealth, Source, Timing,
};
use crate::cache::Cache;
use crate::limit::{
    InFlight, InFlightOptions, LimitOptions, Limiter, Members, SharedHealth, ShedOptions, Shedder,
};
use crate::{CacheOptions, RouteOptions};
use named::Named;

/// Work that is done again and again beside the requests. Each turn is complete in itself.
#[async_trait]
pub(crate) trait Upkeep: Send + Sync + 'static {
    /// Whoever notifies it brings the next turn forward.
    fn nudge(&self) -> Arc<Notify>;

    /// One turn, within a bounded time. Returns how long until the next.
    async fn turn(&self) -> Duration;
}

/// Keeps what outlives a configuration.
pub struct Keeper {
    store: Option<Store>,
    /// What outlives even the process, if something is to.
    sockets: Option<Sockets>,
    /// Whether what is compiled is thrown away.
    is_rehearsal: bool,
    ids: Ids,
    jobs: Mutex<Vec<Job>>,
    added: Notify,
    pub(crate) keys: Named<(Source, Timing), Keys>,
    pub(crate) jwts: Named<(JwtOptions, ConsumerTable), Jwt>,
    pub(crate) introspections: Named<(IntrospectOptions, ConsumerTable), Introspect>,
    pub(crate) limits: Named<LimitOptions, Limiter>,
    pub(crate) in_flight: Named<InFlightOptions, InFlight>,
    shedders: Named<ShedOptions, Shedder>,
    /// By the most that they hold, and by all that says what their answers are.
    caches: Named<(u64, u64), Cache>,
    members: Mutex<Weak<Members>>,
    features: OnceLock<Arc<dyn Features>>,
    callers: OnceLock<Arc<Callers>>,
    recorder: OnceLock<Arc<dyn Recorder>>,
}

struct Job {
    work: Weak<dyn Upkeep>,
    nudge: Arc<Notify>,
}

impl Keeper {
    /// One that keeps shared limits in `store`; without a store there are none.
    pub fn new(store: Option<Store>, ids: Ids) -> Arc<Self> {
        Arc::new(Self::with(store, ids, false))
    }

    /// The same, with the sockets of a process that may pass them on.
    pub fn with_sockets(store: Option<Store>, ids: Ids, sockets: Sockets) -> Arc<Self> {
        Arc::new(Self { sockets: Some(sockets), ..Self::with(store, ids, false) })
    }

    /// One for checking a configuration that nobody will use: it takes shared limits without a store to keep them in.
    pub fn rehearsal(ids: Ids) -> Arc<Self> {
        Arc::new(Self::with(None, ids, true))
    }

    fn with(store: Option<Store>, ids: Ids, is_rehearsal: bool) -> Self {
        Self {
            store,
            sockets: None,
            is_rehearsal,
            ids,
            jobs: Mutex::default(),
            added: Notify::new(),
            keys: Named::default(),
            jwts: Named::default(),
            introspections: Named::default(),
            limits: Named::default(),
            in_flight: Named::default(),
            shedders: Named::default(),
            caches: Named::default(),
            members: Mutex::default(),
            features: OnceLock::new(),
            callers: OnceLock::new(),
            recorder: OnceLock::new(),
        }
    }

    pub(crate) fn is_rehearsal(&self) -> bool {
        self.is_rehearsal
    }

    pub(crate) fn sockets(&self) -> Option<&Sockets> {
        self.sockets.as_ref()
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Forgets what nobody uses any more. Once for each configuration: going through everything for each new thing would
    /// cost the square of their number.
    pub(crate) fn sweep(&self) {
        self.keys.sweep();
        self.jwts.sweep();
        self.introspections.sweep();
        self.limits.sweep();
        self.in_flight.sweep();
        self.shedders.sweep();
        self.caches.sweep();
    }

    /// The places of the whole gateway.
    pub(crate) fn shedder(&self, options: &ShedOptions) -> Arc<Shedder> {
        let made = self.shedders.get("gateway", options, || Ok::<_, Infallible>(Shedder::new(options)));
        made.unwrap_or_else(|never| match never {})
    }

    /// The answers that a route keeps, as long as it would still bring the same.
    pub(crate) fn cache(&self, name: &str, options: &CacheOptions, route: &RouteOptions) -> Arc<Cache> {
        let key = (options.max, route.brings());
        let made = || Ok::<_, Infallible>(Arc::new(Cache::new(options.max, self.ids.clone())));
        self.caches.get(name, &key, made).unwrap_or_else(|never| match never {})
    }

    /// Has `features` asked about routes that go to one. Before a gateway is made beside it, and once.
    pub fn ask_features(&self, features: Arc<dyn Features>) {
        let _ = self.features.set(features);
    }

    /// Has those who issue keys and decide asked through `caller`. Before anything is compiled, and once.
    pub(crate) fn ask_through(&self, caller: &Caller) -> Arc<Callers> {
        self.callers.get_or_init(|| Arc::new(Callers::new(caller))).clone()
    }

    /// Who asks them; in a rehearsal, nobody.
    pub(crate) fn callers(&self) -> Arc<Callers> {
        self.ask_through(&Caller::plain(Arc::new(|_| None), self.ids.clone()))
    }

    /// Has `recorder` keep the steps of traces. Before a gateway is made beside it, and once.
    pub fn record_traces(&self, recorder: Arc<dyn Recorder>) {
        let _ = self.recorder.set(recorder);
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<dyn Recorder>> {
        self.recorder.get()
    }

    pub(crate) fn features(&self) -> Option<Arc<dyn Features>> {
        self.features.get().cloned()
    }

    /// The gateways that share the store.
    pub(crate) fn members(&self, store: &Store) -> Arc<Members> {
        let mut place = self.members.lock();
        if let Some(members) = place.upgrade() {
            return members;
        }
        let members = Arc::new(Members::new(store, &self.ids));
        *place = Arc::downgrade(&members);
        self.keep(&members);
        members
    }

    /// Does the work of `job` from now on, for as long as somebody else holds it.
    pub(crate) fn keep<T: Upkeep>(&self, job: &Arc<T>) {
        let work: Arc<dyn Upkeep> = job.clone();
        let job = Job { nudge: work.nudge(), work: Arc::downgrade(&work) };
        self.jobs.lock().push(job);
        self.added.notify_one();
    }

    /// How all keys are that are in use.
    pub fn keys_health(&self) -> Vec<KeysHealth> {
        let mut all: Vec<KeysHealth> = self.keys.all().iter().map(|keys| keys.health()).collect();
        all.sort_by(|one, other| one.source.cmp(&other.source));
        all
    }

    /// How all shared limits are that are in use.
    pub fn limits_health(&self) -> Vec<SharedHealth> {
        let mut all: Vec<SharedHealth> =
            self.limits.all().iter().filter_map(|limit| limit.health()).collect();
        all.sort_by(|one, other| one.limit.cmp(&other.limit));
        all
    }
}

#[async_trait]
impl Service for Keeper {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let mut tasks = JoinSet::new();
        ready.ready();
        loop {
            let new = std::mem::take(&mut *self.jobs.lock());
            for job in new {
                tasks.spawn(repeat(job, stop.clone()));
            }
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                Some(ended) = tasks.join_next() => note(ended),
                () = self.added.notified() => {}
            }
        }
        while let Some(ended) = tasks.join_next().await {
            note(ended);
        }
        Ok(())
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("the upkeep of keys or limits panicked; they are no longer kept");
    }
}

async fn repeat(job: Job, stop: Stop) {
    loop {
        let Some(work) = job.work.upgrade() else { return };
        let wait = tokio::select! { biased;
            () = stop.soft.cancelled() => return,
            wait = work.turn() => wait,
        };
        drop(work);
        tokio::select! { biased;
            () = stop.soft.cancelled() => return,
            _ = timeout(wait, job.nudge.notified()) => {}
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}
