//! Services at host names: as many instances as their names have addresses.
//!
//! ```text
//!  the file ── declare ──► Names ── the addresses behind each name ──► Registry::declare ──► whoever watches
//!                            ▲ every 5 s, beside the requests
//!                          Lookup
//! ```
//!
//! Each address is an instance of its own, with its own health and its own share; what it was looked up from stays with it
//! ([`Endpoint::host`]), because a certificate and a `Host` header are about the name.
//!
//! Promised is:
//! * *No request waits for a look-up* once there was one answer. Before it an instance stands under its name, and whoever
//!   connects looks that up.
//! * *A name is looked up again* [`EVERY`] after the answer before it, and not sooner; one look-up of a name is under way at a
//!   time, and [`LOOKS_MAX`] of all. An answer says nothing of how long it holds, so how often is said here.
//! * *A look-up that fails, or gives nothing, changes nothing*: the last answer stays in use for as long as that lasts, since
//!   what does not answer there any more is found out by those who ask it. It is said once, and once when it is over.
//! * *An answer in another order is the same*: the set changes only if its addresses do.
//! * *It is bounded*: of one name [`ADDRESSES_MAX`] addresses are used, the lowest ones, and the registry's own limits hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Endpoint, Mutex, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::{Error, Lookup, Registry};

/// From an answer to the next question.
const EVERY: Duration = Duration::from_secs(5);
/// Look-ups under way at one time.
const LOOKS_MAX: usize = 16;
/// Addresses of one name.
const ADDRESSES_MAX: usize = 256;

/// Declares services in a registry, and looks up the names among their addresses for as long as it runs.
pub struct Names {
    registry: Arc<Registry>,
    lookup: Arc<dyn Lookup>,
    inner: Mutex<Inner>,
    /// There may be another name.
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    /// Services with a name among their addresses, as they were written.
    written: BTreeMap<String, Vec<Endpoint>>,
    /// The last answer for each name that they have.
    known: HashMap<String, Answer>,
}

#[derive(Default)]
struct Answer {
    /// In their order, so that two answers can be compared.
    addresses: Vec<SocketAddr>,
    /// Whether the look-ups since have failed.
    is_failing: bool,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("names", &self.inner.lock().names()).finish_non_exhaustive()
    }
}

impl Names {
    /// Declares in `registry` what `lookup` says.
    pub fn new(registry: Arc<Registry>, lookup: Arc<dyn Lookup>) -> Self {
        Self { registry, lookup, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Replaces what the configuration says of `service`, as [`Registry::declare`] does.
    pub fn declare(&self, service: &str, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        self.registry.declare(service, inner.spread(&endpoints))?;
        match endpoints.iter().any(is_named) {
            true => drop(inner.written.insert(service.to_owned(), endpoints)),
            false => drop(inner.written.remove(service)),
        }
        inner.forget_unused();
        self.changed.notify_one();
        Ok(())
    }

    /// Whether this can be declared at the moment, and why not.
    pub fn check(&self, service: &str, endpoints: &[Endpoint]) -> Result<(), Error> {
        self.registry.check(service, &self.inner.lock().spread(endpoints))
    }

    /// Declares nothing more of `service`: somebody else does.
    pub fn leave(&self, service: &str) {
        let mut inner = self.inner.lock();
        inner.written.remove(service);
        inner.forget_unused();
    }

    /// Takes in what a look-up gave.
    fn answered(&self, name: &str, answer: io::Result<Vec<SocketAddr>>) {
        let mut inner = self.inner.lock();
        if !inner.names().contains(name) {
            return;
        }
        let answer = answer.map(sorted).and_then(|addresses| match addresses.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
            false => Ok(addresses),
        });
        let known = inner.known.entry(name.to_owned()).or_default();
        match answer {
            Err(error) => {
                if !std::mem::replace(&mut known.is_failing, true) {
                    let (error, last) = (chain(&error), known.addresses.len());
                    tracing::warn!(name, error, last, "cannot be looked up; the last addresses stay in use");
                }
            }
            Ok(addresses) => {
                if std::mem::take(&mut known.is_failing) {
                    tracing::info!(name, "can be looked up again");
                }
                if known.addresses == addresses {
                    return;
                }
                tracing::info!(
                    name,
                    before = known.addresses.len(),
                    now = addresses.len(),
                    "its addresses are others"
                );
                known.addresses = addresses;
                inner.declare_again(name, &self.registry);
            }
        }
    }
}

impl Inner {
    fn names(&self) -> BTreeSet<String> {
        let all = self.written.values().flatten().filter(|endpoint| is_named(endpoint));
        all.map(|endpoint| endpoint.address.clone()).collect()
    }

    fn forget_unused(&mut self) {
        let names = self.names();
        self.known.retain(|name, _| names.contains(name));
    }

    /// An instance for each address behind `written`, each address once. A name without an answer stands for itself.
    fn spread(&self, written: &[Endpoint]) -> Vec<Endpoint> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for endpoint in written {
            let answer = self.known.get(&endpoint.address).filter(|answer| !answer.addresses.is_empty());
            match answer {
                None => all.push(endpoint.clone()),
                Some(answer) => all.extend(answer.addresses.iter().map(|address| Endpoint {
                    id: address.to_string(),
                    address: address.to_string(),
                    host: Some(endpoint.address.clone()),
                    ..endpoint.clone()
                })),
            }
        }
        all.retain(|endpoint| seen.insert(endpoint.id.clone()));
        all
    }

    /// Says of each service with `name` where it is now.
    fn declare_again(&self, name: &str, registry: &Registry) {
        let has_it = |written: &&Vec<Endpoint>| written.iter().any(|endpoint| endpoint.address == name);
        for (service, written) in self.written.iter().filter(|(_, written)| has_it(written)) {
            if let Err(error) = registry.declare(service, self.spread(written)) {
                tracing::error!(service, name, error = chain(&error), "nobody hears of its new addresses");
            }
        }
    }
}

/// Whether it stands under a host's name.
fn is_named(endpoint: &Endpoint) -> bool {
    endpoint.address.parse::<SocketAddr>().is_err()
}

fn sorted(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

#[async_trait]
impl Service for Names {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        // When each name is looked up next; none while it is.
        let mut due: BTreeMap<String, Option<Instant>> = BTreeMap::new();
        let mut looks: JoinSet<(String, io::Result<Vec<SocketAddr>>)> = JoinSet::new();
        loop {
            let now = Instant::now();
            let names = self.inner.lock().names();
            // One that is gone while it is looked up is forgotten when the answer comes.
            due.retain(|name, at| at.is_none() || names.contains(name));
            for name in names {
                due.entry(name).or_insert(Some(now));
            }
            for (name, at) in &mut due {
                if looks.len() < LOOKS_MAX && at.is_some_and(|at| at <= now) {
                    let (lookup, name) = (self.lookup.clone(), name.clone());
                    looks.spawn(async move { (name.clone(), lookup.look(&name).await) });
                    *at = None;
                }
            }
            let is_full = looks.len() >= LOOKS_MAX;
            let next = due.values().flatten().min().copied().filter(|_| !is_full);
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                () = self.changed.notified() => {}
                Some(looked) = looks.join_next() => {
                    let next = Some(Instant::now() + EVERY);
                    match looked {
                        Ok((name, answer)) => {
                            self.answered(&name, answer);
                            due.insert(name, next);
                        }
                        // One panicked, and nobody knows which.
                        Err(_) => due.values_mut().for_each(|at| *at = at.or(next)),
                    }
                }
                () = until(next) => {}
            }
        }
        // An answer that nobody waits for is no loss.
        looks.shutdown().await;
        Ok(())
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dozen_core::{EndpointSet, SystemClock};
    use tokio::sync::watch;

    use super::*;
    use crate::SystemLookup;

    /// Answers what a test says, and counts how often it is asked.
    struct Said {
        answer: watch::Sender<Option<Vec<SocketAddr>>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Lookup for Said {
        async fn look(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.answer.borrow().clone().ok_or_else(|| io::ErrorKind::TimedOut.into())
        }
    }

    struct World {
        said: Arc<Said>,
        names: Arc<Names>,
        set: watch::Receiver<Arc<EndpointSet>>,
        stop: Stop,
    }

    impl World {
        fn start(answer: &[&str]) -> Self {
            let answer = watch::Sender::new(Some(read(answer)));
            let said = Arc::new(Said { answer, asked: AtomicUsize::new(0) });
            let registry = Arc::new(Registry::new(Arc::new(SystemClock)));
            let names = Arc::new(Names::new(registry.clone(), said.clone()));
            names
                .declare("shop", vec![Endpoint::at("shop.example:80"), Endpoint::at("10.9.9.9:80")])
                .unwrap();
            let (set, stop) = (registry.watch("shop"), Stop::new());
            tokio::spawn(names.clone().run(stop.clone(), Ready::channel().0));
            Self { said, names, set, stop }
        }

        fn says(&self, answer: Option<&[&str]>) {
            self.said.answer.send_replace(answer.map(read));
        }

        /// The next set that is another.
        async fn next(&mut self) -> Vec<String> {
            self.set.changed().await.unwrap();
            addresses(&self.set.borrow_and_update())
        }

        fn now(&self) -> Vec<String> {
            addresses(&self.set.borrow())
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.stop.soft.cancel();
        }
    }

    fn read(answer: &[&str]) -> Vec<SocketAddr> {
        answer.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn addresses(set: &EndpointSet) -> Vec<String> {
        set.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_as_many_instances_as_it_has_addresses_and_each_keeps_the_name() {
        let mut world = World::start(&["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(world.now(), ["10.9.9.9:80", "shop.example:80"], "before the first answer");
        assert_eq!(world.next().await, ["10.0.0.1:80", "10.0.0.2:80", "10.9.9.9:80"]);
        let hosts: Vec<_> = world.set.borrow().endpoints.iter().map(|one| one.host.clone()).collect();
        let name = || Some("shop.example:80".to_owned());
        assert_eq!(hosts, [name(), name(), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_answer_is_heard_after_five_seconds_and_another_order_is_none() {
        let mut world = World::start(&["10.0.0.1:80", "10.0.0.2:80"]);
        world.next().await;
        world.says(Some(&["10.0.0.2:80", "10.0.0.1:80"]));
        tokio::time::sleep(Duration::from_secs(21)).await;
        assert!(!world.set.has_changed().unwrap(), "the order is no change");
        assert_eq!(world.said.asked.load(Ordering::SeqCst), 5, "once at first, and once in five seconds");
        world.says(Some(&["10.0.0.3:80", "10.0.0.1:80"]));
        let began = Instant::now();
        assert_eq!(world.next().await, ["10.0.0.1:80", "10.0.0.3:80", "10.9.9.9:80"]);
        assert!(began.elapsed() <= EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_fails_or_gives_nothing_changes_nothing_however_long() {
        let mut world = World::start(&["10.0.0.1:80"]);
        let before = world.next().await;
        for silence in [None, Some(&[][..])] {
            world.says(silence);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(world.now(), before);
        }
        world.says(Some(&["10.0.0.2:80"]));
        assert_eq!(world.next().await, ["10.0.0.2:80", "10.9.9.9:80"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_declared_anew_is_looked_up_at_once_and_what_is_gone_no_more() {
        let mut world = World::start(&["10.0.0.1:80"]);
        world.next().await;
        // What is known of a name is used for whoever else has it.
        world.names.declare("shop", vec![Endpoint::at("shop.example:80")]).unwrap();
        assert_eq!(world.next().await, ["10.0.0.1:80"]);
        let asked = || world.said.asked.load(Ordering::SeqCst);
        let before = asked();
        world.names.declare("shop", vec![Endpoint::at("10.9.9.9:80")]).unwrap();
        assert_eq!(world.now(), ["10.9.9.9:80"]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(asked(), before, "nobody has the name any more");
        world.names.declare("shop", vec![Endpoint::at("other.example:80")]).unwrap();
        world.set.wait_for(|set| addresses(set) == ["10.0.0.1:80"]).await.unwrap();
        world.names.leave("shop");
        world.says(Some(&["10.0.0.7:80"]));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.now(), ["10.0.0.1:80"], "somebody else says where it is");
    }

    #[tokio::test]
    async fn this_machine_knows_where_it_is_itself() {
        let addresses = SystemLookup.look("localhost:4711").await.unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 4711));
    }
}
