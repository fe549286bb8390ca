//! The configuration as the rest of the program sees it: plain, complete and correct.

mod access;
mod calling;
mod features;
mod gateway;
mod json;
mod messages;
mod services;
mod store;
mod traces;
mod translators;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dozen_messaging::Keyring;
use dozen_strangler::FeatureOptions;

use super::item::{Field, Item};
use super::template;

pub(crate) use access::AccessItems;
pub(crate) use calling::{calling, gateway_tls, is_https};
pub(crate) use features::feature;
pub use gateway::Gateway;
pub(crate) use gateway::route;
pub(crate) use messages::topic_settings;
pub use messages::{Queue, Receiver, Relay, Subscription, Topic, Url};
pub use services::{Origin, Run, Service};
pub(crate) use store::sqlite_file;
pub use store::{Secret, StoreAddress};
pub use traces::Traces;
pub use translators::{End, Reach, Translators, Wire};
pub(crate) use translators::{examples, options};

/// A whole application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The folder of its file; what relative paths started from. Absolute.
    pub folder: PathBuf,
    /// Where state lives.
    pub store: StoreAddress,
    /// Where the registry listens.
    pub registry: SocketAddr,
    /// In the order of the file.
    pub services: Vec<Service>,
    /// Systems of others, and the operations of ours that they answer.
    pub translators: Translators,
    /// The door, if there is one.
    pub gateway: Option<Gateway>,
    /// What moves from one service to another, by name.
    pub features: BTreeMap<String, FeatureOptions>,
    /// In the order of the file.
    pub queues: Vec<Queue>,
    /// In the order of the file.
    pub topics: Vec<Topic>,
    /// In the order of the file.
    pub subscriptions: Vec<Subscription>,
    /// In the order of the file.
    pub relays: Vec<Relay>,
    /// Where the console listens, unless it is off.
    pub console: Option<SocketAddr>,
    /// Where queues and topics are served over HTTP, unless that is off.
    pub api: Option<Api>,
    /// Keys for payloads that are sealed, if there are any.
    pub keys: Option<Keyring>,
    /// Where the steps of requests go, if they go anywhere.
    pub traces: Option<Traces>,
    /// What holds for the whole process.
    pub limits: Limits,
}

impl App {
    /// The store's address in full, for those who open it: it may hold a password.
    pub fn store_url(&self) -> String {
        self.store.url().to_owned()
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// Queues and topics over HTTP.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What every request must bring.
    pub token: Option<Secret>,
}

/// What holds for the whole process.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long stopping may take.
    pub stop_deadline: Duration,
    /// The longest body of a request through the gateway.
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

/// Builds the configuration from a tree without mistakes. `None` means that the tree has some after all.
pub(crate) fn build(file: &Item, folder: &Path) -> Option<App> {
    let limits = file.get("limits")?;
    let limits =
        Limits { stop_deadline: limits.duration("stop-deadline")?, body_max: limits.number("body-max")? };
    let topics: Vec<Topic> = each(file, "topics", messages::topic)?;
    let mut app = App {
        name: file.text("app")?.to_owned(),
        folder: folder.to_owned(),
        store: StoreAddress::of(file.get("store")?, folder)?,
        registry: file.get("registry")?.address("listen")?,
        services: each(file, "services", |name, item| services::service(name, item, folder))?,
        translators: translators::translators(file, folder)?,
        gateway: None,
        features: each(file, "features", |name, item| Some((name.to_owned(), feature(item).ok()?)))?,
        queues: each(file, "queues", messages::queue)?,
        subscriptions: each(file, "subscriptions", messages::subscription)?,
        relays: each(file, "relays", |name, item| messages::relay(name, item, &topics, folder))?,
        topics,
        console: file.get("console")?.address("listen"),
        api: file.get("api").and_then(api),
        keys: keyring(file)?,
        traces: match file.get("traces") {
            Some(item) => Some(traces::traces(item)?),
            None => None,
        },
        limits,
    };
    if let Some(item) = file.get("gateway") {
        app.gateway = Some(gateway::gateway(item, folder, &app)?);
    }
    services::place_sidecars(&mut app);
    Some(app)
}

fn each<T, C: FromIterator<T>>(
    file: &Item,
    section: &str,
    build: impl Fn(&str, &Item) -> Option<T>,
) -> Option<C> {
    file.get(section)?.fields().iter().map(|Field { name, item, .. }| build(name, item)).collect()
}

fn api(item: &Item) -> Option<Api> {
    let token = item.get("token").and_then(Item::as_secret).map(Secret::new);
    Some(Api { listen: item.address("listen")?, token })
}

/// The keys of the file: `Some(None)` where it has none.
fn keyring(file: &Item) -> Option<Option<Keyring>> {
    let keys = file.get("keys")?.fields();
    let pairs: Option<Vec<(&str, &str)>> =
        keys.iter().map(|key| Some((key.name.as_str(), key.item.as_secret()?))).collect();
    match pairs? {
        pairs if pairs.is_empty() => Some(None),
        pairs => Keyring::new(pairs).ok().map(Some),
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
