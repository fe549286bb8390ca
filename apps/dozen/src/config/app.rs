//! The configuration as the rest of the program sees it: plain, complete and correct.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dozen_core::Backoff;

use super::cross::store_path;
use super::item::{Field, Item, Value};
use super::{scalar, template};

/// A whole application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The folder of its file; what relative paths started from. Absolute.
    pub folder: PathBuf,
    /// The SQLite file. Absolute.
    pub store: PathBuf,
    /// Where the registry listens.
    pub registry: SocketAddr,
    /// In the order of the file.
    pub services: Vec<Service>,
    /// The door, if there is one.
    pub gateway: Option<Gateway>,
    /// In the order of the file.
    pub queues: Vec<Queue>,
    /// In the order of the file.
    pub topics: Vec<Topic>,
    /// In the order of the file.
    pub subscriptions: Vec<Subscription>,
    /// Where the console listens, unless it is off.
    pub console: Option<SocketAddr>,
    /// What holds for the whole process.
    pub limits: Limits,
}

impl App {
    /// The store as an URL: `sqlite:/absolute/path`.
    pub fn store_url(&self) -> String {
        format!("sqlite:{}", self.store.display())
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it is started, or where it is.
    pub origin: Origin,
    /// A path that answers `GET` with 2xx while it is well.
    pub health: Option<String>,
    /// How long a call to it may take.
    pub timeout: Duration,
    /// Where its sidecar listens, if it has one.
    pub sidecar: Option<SocketAddr>,
}

impl Service {
    /// `host:port` of each instance; empty for a service that takes no requests.
    pub fn addresses(&self) -> Vec<String> {
        match &self.origin {
            Origin::At(addresses) => addresses.clone(),
            Origin::Run(run) => {
                run.ports().into_iter().flatten().map(|port| format!("127.0.0.1:{port}")).collect()
            }
        }
    }
}

/// Where a service comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It is started by `dozen up`.
    Run(Run),
    /// It runs at these `host:port`s.
    At(Vec<String>),
}

/// How to start a service.
#[derive(Clone)]
pub struct Run {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The command as it may be shown: with placeholders in the place of what they stand for.
    pub shown: String,
    /// On top of the environment that it inherits.
    pub env: Vec<(String, String)>,
    /// Where it runs. Absolute.
    pub dir: PathBuf,
    /// The port of the first instance, if it listens.
    pub port: Option<u16>,
    /// How many run; at least 1.
    pub instances: u16,
    /// Whether it is started again when it ended.
    pub restart: bool,
    /// How long it may take to become healthy.
    pub start_timeout: Duration,
}

impl Run {
    /// The port of each instance.
    pub fn ports(&self) -> Vec<Option<u16>> {
        (0..self.instances).map(|at| self.port.map(|port| port.saturating_add(at))).collect()
    }
}

impl std::fmt::Debug for Run {
    /// Without the environment and the arguments, which hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("command", &self.shown).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The door for requests from outside.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    /// In the order of the file.
    pub routes: Vec<Route>,
}

/// Which requests go where.
#[derive(Clone, Debug)]
pub struct Route {
    /// This host, or `*.suffix`; `None` is every host.
    pub host: Option<String>,
    /// A path template.
    pub path: String,
    /// These methods; empty is every method.
    pub methods: Vec<String>,
    /// Headers that must have this value; `*` is any.
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must have this value; `*` is any.
    pub query: BTreeMap<String, String>,
    /// Where they go.
    pub to: Target,
    /// How long it may take; `None` is the service's own.
    pub timeout: Option<Duration>,
    /// The longest request body.
    pub body_max: u64,
}

/// A service and a path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A service of the file.
    pub service: String,
    /// A path template; `None` keeps the request's path.
    pub path: Option<String>,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How long a worker may hold a message.
    pub lease: Duration,
    /// After so many failures a message becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
    /// How long done messages are kept.
    pub keep: Duration,
    /// The longest message.
    pub body_max: u64,
    /// Senders are refused beyond this many waiting messages.
    pub waiting_max: u64,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How long messages are kept.
    pub keep: Duration,
    /// What orders messages.
    pub key: Option<String>,
    /// The longest message.
    pub body_max: u64,
}

/// A subscription that pushes to a service.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// The topics of the file that it hears of; patterns are resolved.
    pub topics: Vec<String>,
    /// Where messages are posted.
    pub to: Target,
    /// Whether a new one begins with all that is kept.
    pub earliest: bool,
    /// How long a delivery may take without a sign of life.
    pub lease: Duration,
    /// After so many failures a message becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
    /// How many are handled at once.
    pub in_flight_max: usize,
    /// The topic that gets dead letters.
    pub dead_letter_topic: Option<String>,
}

/// What holds for the whole process.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long stopping may take.
    pub stop_deadline: Duration,
    /// The longest body of a request through the gateway.
    pub body_max: u64,
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Builds the configuration from a tree without mistakes. `None` means that the tree has some after all.
pub(crate) fn build(file: &Item, folder: &Path) -> Option<App> {
    let limits = file.get("limits")?;
    let limits =
        Limits { stop_deadline: limits.duration("stop-deadline")?, body_max: limits.number("body-max")? };
    let topics: Vec<Topic> = each(file, "topics", topic)?;
    let mut app = App {
        name: file.text("app")?.to_owned(),
        folder: folder.to_owned(),
        store: store_path(file.text("store")?, folder),
        registry: file.get("registry")?.address("listen")?,
        services: each(file, "services", |name, item| service(name, item, folder))?,
        gateway: None,
        queues: each(file, "queues", queue)?,
        subscriptions: each(file, "subscriptions", |name, item| subscription(name, item, &topics))?,
        topics,
        console: file.get("console")?.address("listen"),
        limits,
    };
    if let Some(item) = file.get("gateway") {
        let routes: Option<Vec<Route>> =
            item.list("routes").iter().map(|item| route(item, app.limits.body_max)).collect();
        app.gateway = Some(Gateway { listen: item.address("listen")?, routes: routes? });
    }
    place_sidecars(&mut app);
    Some(app)
}

fn each<T>(file: &Item, section: &str, build: impl Fn(&str, &Item) -> Option<T>) -> Option<Vec<T>> {
    file.get(section)?.fields().iter().map(|Field { name, item, .. }| build(name, item)).collect()
}

fn service(name: &str, item: &Item, folder: &Path) -> Option<Service> {
    let text = |item: &Item| item.as_text().map(str::to_owned);
    let origin = match item.field("run") {
        None => {
            let bases = item.list("at").iter().map(|at| scalar::base_url(at.as_text()?).map(str::to_owned));
            Origin::At(bases.collect::<Option<_>>()?)
        }
        Some(_) => {
            let words = item.list("run");
            let shown: Vec<String> = words.iter().map(Item::shown).collect();
            Origin::Run(Run {
                command: words.iter().map(text).collect::<Option<_>>()?,
                shown: shown.join(" "),
                env: texts(item.get("env")?)?,
                // Collected from its parts, so that `.` leaves no trace.
                dir: folder.join(item.text("dir")?).components().collect(),
                port: item.number("port").and_then(|port| u16::try_from(port).ok()),
                instances: u16::try_from(item.number("instances")?).ok()?,
                restart: item.text("restart")? == "always",
                start_timeout: item.duration("start-timeout")?,
            })
        }
    };
    // Port 0 stands for "still to be chosen"; see `place_sidecars`.
    let sidecar = match item.get("sidecar") {
        Some(Item { value: Value::Off, .. }) => None,
        Some(sidecar) => Some(u16::try_from(sidecar.number("port").unwrap_or(0)).ok()?),
        None => matches!(origin, Origin::Run(_)).then_some(0),
    };
    Some(Service {
        name: name.to_owned(),
        origin,
        health: item.text("health").map(str::to_owned),
        timeout: item.duration("timeout")?,
        sidecar: sidecar.map(|port| SocketAddr::new(LOCALHOST, port)),
    })
}

/// Gives each sidecar that has no port the next one from 3500 on (Dapr's own default) which the file leaves free.
/// The same file always gives the same ports.
fn place_sidecars(app: &mut App) {
    let mut taken: Vec<u16> = vec![app.registry.port()];
    taken.extend(app.gateway.iter().map(|gateway| gateway.listen.port()));
    taken.extend(app.console.iter().map(SocketAddr::port));
    for service in &app.services {
        taken.extend(service.sidecar.map(|sidecar| sidecar.port()));
        if let Origin::Run(run) = &service.origin {
            taken.extend(run.ports().into_iter().flatten());
        }
    }
    let mut free = (3500..=u16::MAX).filter(|port| !taken.contains(port));
    for sidecar in app.services.iter_mut().filter_map(|service| service.sidecar.as_mut()) {
        if sidecar.port() == 0 {
            sidecar.set_port(free.next().unwrap_or(0));
        }
    }
}

fn target_of(item: &Item) -> Option<Target> {
    let (service, path) = template::target(item.text("to")?).ok()?;
    Some(Target { service: service.to_owned(), path: path.map(str::to_owned) })
}

/// A mapping from names to texts.
fn texts<T: FromIterator<(String, String)>>(item: &Item) -> Option<T> {
    item.fields().iter().map(|field| Some((field.name.clone(), field.item.as_text()?.to_owned()))).collect()
}

fn route(item: &Item, body_max: u64) -> Option<Route> {
    let matching = item.get("match")?;
    Some(Route {
        host: matching.text("host").map(str::to_ascii_lowercase),
        path: matching.text("path")?.to_owned(),
        methods: matching
            .list("method")
            .iter()
            .filter_map(|item| item.as_text().map(str::to_owned))
            .collect(),
        headers: texts(matching.get("headers")?)?,
        query: texts(matching.get("query")?)?,
        to: target_of(item)?,
        timeout: item.duration("timeout"),
        body_max: item.number("body-max").unwrap_or(body_max),
    })
}

fn backoff(item: &Item) -> Option<Backoff> {
    item.range("backoff").map(|(first, cap)| Backoff::new(first, cap))
}

fn queue(name: &str, item: &Item) -> Option<Queue> {
    Some(Queue {
        name: name.to_owned(),
        lease: item.duration("lease")?,
        attempts_max: u32::try_from(item.number("attempts-max")?).ok()?,
        backoff: backoff(item)?,
        keep: item.duration("keep")?,
        body_max: item.number("body-max")?,
        waiting_max: item.number("waiting-max")?,
    })
}

fn topic(name: &str, item: &Item) -> Option<Topic> {
    Some(Topic {
        name: name.to_owned(),
        keep: item.duration("keep")?,
        key: item.text("key").map(str::to_owned),
        body_max: item.number("body-max")?,
    })
}

fn subscription(name: &str, item: &Item, topics: &[Topic]) -> Option<Subscription> {
    let patterns: Vec<&str> = item.list("topics").iter().filter_map(Item::as_text).collect();
    let heard = |topic: &&Topic| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => topic.name.starts_with(prefix),
            None => topic.name == *pattern,
        })
    };
    Some(Subscription {
        name: name.to_owned(),
        topics: topics.iter().filter(heard).map(|topic| topic.name.clone()).collect(),
        to: target_of(item)?,
        earliest: item.text("start")? == "earliest",
        lease: item.duration("lease")?,
        attempts_max: u32::try_from(item.number("attempts-max")?).ok()?,
        backoff: backoff(item)?,
        in_flight_max: usize::try_from(item.number("in-flight-max")?).ok()?,
        dead_letter_topic: item.text("dead-letter-topic").map(str::to_owned),
    })
}
