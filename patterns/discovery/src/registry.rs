//! The registry that others hold: the state behind a lock, its watchers, and the upkeep that expires.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Clock, Endpoint, EndpointSet, Mutex, Timestamp};
use dozen_lifecycle::{BoxError, Ready, Service, Stop, or_never};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::state::{Change, State};
use crate::{Error, Limits};

/// How long an instance may now be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// It is removed when it is not heard of for this long.
    pub ttl: Duration,
    /// When that would be, for people: the lease itself does not run on the wall clock.
    pub expires: Timestamp,
}

impl Lease {
    /// How often to send a heartbeat, so that two may be lost.
    pub fn heartbeat(&self) -> Duration {
        self.ttl / 3
    }
}

struct Inner {
    state: State,
    watches: BTreeMap<String, watch::Sender<Arc<EndpointSet>>>,
}

/// All live instances of all services.
///
/// Runs as a [`Service`]: that is what expires silent instances, and what ends the waiting HTTP watchers when it
/// stops. Start it after the server that carries its [`router`](crate::router), so that it stops first and the server
/// finds nothing left to drain.
pub struct Registry {
    clock: Arc<dyn Clock>,
    /// Where the state's time begins. Monotonic, so that a clock that is set expires nobody.
    began: Instant,
    inner: Mutex<Inner>,
    /// The next expiry may have come closer.
    sooner: Notify,
    watchers: Arc<AtomicUsize>,
    pub(crate) closing: CancellationToken,
}

/// Being this late is no scheduling delay: the process, or the machine, was stopped.
const STALLED: Duration = Duration::from_secs(1);

impl Registry {
    /// An empty registry with the usual limits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, Limits::default())
    }

    /// An empty registry with these limits.
    pub fn with_limits(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        // Beginning at the present moment keeps versions growing across a restart, as a watcher in another process
        // would expect; microseconds since 1970 stay exact in JavaScript's numbers until the year 2255.
        let version = u64::try_from(clock.now().0).unwrap_or(0);
        Self {
            clock,
            began: Instant::now(),
            inner: Mutex::new(Inner { state: State::new(limits, version), watches: BTreeMap::new() }),
            sooner: Notify::new(),
            watchers: Arc::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Replaces what the configuration says of `service`. Declared instances never expire.
    pub fn declare(&self, service: &str, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        self.change(|state, _| state.declare(service, endpoints))
    }

    /// Whether this can be declared at the moment, and why not.
    pub fn check(&self, service: &str, endpoints: &[Endpoint]) -> Result<(), Error> {
        self.inner().state.check(service, endpoints)
    }

    /// Takes in an instance, or renews and replaces what it said before.
    pub fn register(&self, service: &str, endpoint: Endpoint, ttl: Duration) -> Result<Lease, Error> {
        self.change(|state, now| state.register(service, endpoint, ttl, now))?;
        self.sooner.notify_one();
        Ok(self.lease(ttl))
    }

    /// Renews the lease of an instance. [`Error::Unknown`] means that it must register again.
    pub fn heartbeat(&self, service: &str, id: &str) -> Result<Lease, Error> {
        let ttl = self.inner().state.heartbeat(service, id, self.began.elapsed())?;
        Ok(self.lease(ttl))
    }

    /// Removes an instance that registered itself. One that is not there is as it should be.
    pub fn deregister(&self, service: &str, id: &str) -> Result<(), Error> {
        self.change(|state, _| state.deregister(service, id))
    }

    /// Records what a prober saw. The flag stays until the next call, or until the instance changes its address.
    pub fn set_health(&self, service: &str, id: &str, healthy: bool) -> Result<(), Error> {
        self.change(|state, _| state.set_health(service, id, healthy))
    }

    /// The present set of `service`; an empty one when nothing is known of it.
    pub fn get(&self, service: &str) -> Arc<EndpointSet> {
        self.inner().state.get(service)
    }

    /// The names of the services that have an instance.
    pub fn services(&self) -> Vec<String> {
        self.inner().state.sets().map(|set| set.service.clone()).collect()
    }

    /// The sets of all services that have an instance, as of one moment.
    pub fn snapshot(&self) -> Vec<Arc<EndpointSet>> {
        self.inner().state.sets().cloned().collect()
    }

    /// The instances that registered themselves: service, instance, time to live. Another registry that is told the
    /// same knows what this one knows.
    pub fn registered(&self) -> Vec<(String, Endpoint, Duration)> {
        self.inner().state.registered()
    }

    /// The set of `service`, now and after each change. It may be a service that nobody knows yet.
    pub fn watch(&self, service: &str) -> watch::Receiver<Arc<EndpointSet>> {
        let mut inner = self.inner();
        if let Some(sender) = inner.watches.get(service) {
            return sender.subscribe();
        }
        if inner.watches.len() >= inner.state.limits().services_max {
            inner.watches.retain(|_, sender| sender.receiver_count() > 0);
        }
        let (sender, receiver) = watch::channel(inner.state.get(service));
        inner.watches.insert(service.to_owned(), sender);
        receiver
    }

    /// A place among the HTTP requests that wait, given back when the guard is dropped.
    pub(crate) fn admit_watcher(&self) -> Result<Watcher, Error> {
        let limit = self.inner().state.limits().watchers_max;
        let watcher = Watcher(self.watchers.clone());
        if self.watchers.fetch_add(1, Ordering::AcqRel) >= limit {
            return Err(Error::Full { what: "waiting watchers".into(), limit });
        }
        Ok(watcher)
    }

    /// Applies a change and tells the watchers while the lock is held, so that they see changes in order.
    fn change(&self, how: impl FnOnce(&mut State, Duration) -> Result<Change, Error>) -> Result<(), Error> {
        let mut inner = self.inner();
        if let Some(set) = how(&mut inner.state, self.began.elapsed())? {
            inner.tell(set);
        }
        Ok(())
    }

    fn lease(&self, ttl: Duration) -> Lease {
        Lease { ttl, expires: self.clock.now().after(ttl) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic between two changes leaves a whole state; there is nothing to distrust.
        self.inner.lock()
    }

    /// Expires what is due. Called late, it first gives everyone the chance to be heard.
    fn expire(&self, planned: Option<Duration>) -> Option<Duration> {
        let now = self.began.elapsed();
        let mut inner = self.inner();
        let late = planned.map_or(Duration::ZERO, |planned| now.saturating_sub(planned));
        if late >= STALLED {
            tracing::warn!(late_ms = late.as_millis(), "was stopped; every instance gets a heartbeat's time");
            inner.state.forgive(now);
        }
        for set in inner.state.expire(now) {
            inner.tell(set);
        }
        inner.state.next_due()
    }
}

impl Inner {
    fn tell(&self, set: Arc<EndpointSet>) {
        if let Some(sender) = self.watches.get(&set.service) {
            sender.send_replace(set);
        }
    }
}

#[async_trait]
impl Service for Registry {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut due = self.expire(None);
        loop {
            let until_due = or_never(due.map(|due| sleep_until(self.began + due)));
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                () = until_due => due = self.expire(due),
                () = self.sooner.notified() => due = self.expire(None),
            }
        }
        self.closing.cancel();
        Ok(())
    }
}

/// One waiting HTTP request.
pub(crate) struct Watcher(Arc<AtomicUsize>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("services", &self.services()).finish_non_exhaustive()
    }
}
