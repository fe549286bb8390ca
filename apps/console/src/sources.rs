//! What the console shows: the store with its queues and topics, and what is not in it, handed in as closures.
//!
//! Each closure is asked once for each page and should answer from memory. One that nobody sets answers "nothing",
//! and its page says so.

use std::sync::Arc;
use std::time::Duration;

use dozen_anticorruption::Translators;
use dozen_core::{EndpointSet, Ids, SystemClock, Timestamp};
use dozen_messaging::Keyring;
use dozen_outbox::Relay;
use dozen_pubsub::Topics;
use dozen_store::Store;
use serde::Serialize;

/// Asked anew for each page.
pub type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;
/// Asked with a number (how many at most).
pub type AskSome<T> = Arc<dyn Fn(usize) -> T + Send + Sync>;
/// Asked with a name.
pub type AskOf<T> = Arc<dyn Fn(&str) -> T + Send + Sync>;

/// Where the console looks.
#[derive(Clone)]
pub struct Sources {
    /// The application's name.
    pub app: String,
    /// Queues, topics and messages.
    pub store: Store,
    /// The topics of the store, with the keys that open sealed payloads.
    pub broker: Topics,
    /// Keys that open and seal payloads of queues.
    pub keys: Option<Keyring>,
    /// Names what is published again from here.
    pub ids: Ids,
    /// The relays of this process, by name.
    pub relays: Vec<(String, Arc<Relay>)>,
    /// Names by which the console may be asked for, beside those of the loopback interface. Without a port.
    pub hosts: Vec<String>,
    /// What `/metrics` answers; without it there is no such path.
    pub metrics: Option<Arc<dozen_metrics::Registry>>,
    /// The services of the file and those that registered themselves.
    pub services: Ask<Vec<ServiceView>>,
    /// The features that move from one service to another, as this process knows them.
    pub features: Option<Arc<dozen_strangler::Registry>>,
    /// The gateway's routes, in the order in which they are tried.
    pub routes: Ask<Vec<RouteView>>,
    /// What the gateway would do with a request, written as `GET /orders/7`; nothing if there is no gateway.
    pub explain: AskOf<Option<ExplainView>>,
    /// The latest requests through the gateway, latest first.
    pub recent_requests: AskSome<Vec<RequestView>>,
    /// The requests of a trace, by its id of 32 hexadecimal digits, first first.
    pub requests: AskOf<Vec<RequestView>>,
    /// The translators as they are now.
    pub translators: Ask<Option<Arc<Translators>>>,
    /// The queues of the file; those in the store are found without it.
    pub queues: Ask<Vec<Declared>>,
    /// The topics of the file; those in the store are found without it.
    pub topics: Ask<Vec<Declared>>,
    /// The subscriptions of the file; those in the store are found without it.
    pub subscriptions: Ask<Vec<SubscriptionView>>,
}

impl Sources {
    /// A console that knows the store and nothing else.
    pub fn new(app: impl Into<String>, store: Store) -> Self {
        Self {
            app: app.into(),
            broker: Topics::open(&store),
            keys: None,
            ids: Ids::new(Arc::new(SystemClock), seed()),
            relays: Vec::new(),
            store,
            hosts: Vec::new(),
            metrics: None,
            services: Arc::new(Vec::new),
            features: None,
            routes: Arc::new(Vec::new),
            explain: Arc::new(|_| None),
            recent_requests: Arc::new(|_| Vec::new()),
            requests: Arc::new(|_| Vec::new()),
            translators: Arc::new(|| None),
            queues: Arc::new(Vec::new),
            topics: Arc::new(Vec::new),
            subscriptions: Arc::new(Vec::new),
        }
    }
}

/// A service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    /// Where it can be reached.
    pub endpoints: Arc<EndpointSet>,
    /// The process that was started for it, if one was.
    pub process: Option<ProcessView>,
    /// Where its sidecar listens, if it has one.
    pub sidecar: Option<String>,
}

/// A process that `dozen up` started.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessView {
    /// What was run.
    pub command: String,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// Its present state in a word or two: `running`, `waiting for /healthz`, `crashed, again in 4 s`.
    pub state: String,
    /// Whether that is as it should be.
    pub is_well: bool,
    /// How often it had to be started again.
    pub restarts: u64,
    /// When it was started last.
    pub since: Option<Timestamp>,
}

/// A route of the gateway.
#[derive(Clone, Debug, Serialize)]
pub struct RouteView {
    /// The method, or `*`.
    pub method: String,
    /// The host, where the route asks for one.
    pub host: Option<String>,
    /// The path's template.
    pub path: String,
    /// Where it leads, for example `orders:/orders/{id}`.
    pub target: String,
    /// What is done on the way, each in a few words.
    pub policies: Vec<String>,
}

/// What a gateway would do with a request, and why.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExplainView {
    /// The route that takes it.
    pub route: Option<String>,
    /// Why that one, or why none.
    pub why: String,
    /// What follows, each with a name: service, target, answer.
    pub then: Vec<(&'static str, String)>,
    /// Routes that do not take it, and why.
    pub considered: Vec<(String, String)>,
}

/// A request that came through the gateway or a sidecar.
#[derive(Clone, Debug, Serialize)]
pub struct RequestView {
    /// When its head had arrived.
    pub at: Timestamp,
    /// Until the end of its answer; `None` while it is under way.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    pub took: Option<Duration>,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The answer's status; `None` when there was none.
    pub status: Option<u16>,
    /// The service that answered, if one did.
    pub service: Option<String>,
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: String,
}

/// Something that the file declares.
#[derive(Clone, Debug, Serialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its settings as the file would write them, by name.
    pub settings: Vec<(String, String)>,
}

/// A subscription of the file.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionView {
    /// Its name.
    pub name: String,
    /// The topics' names or patterns.
    pub topics: Vec<String>,
    /// Where messages go, for example `mail:/on-order`; `None` when they are pulled.
    pub to: Option<String>,
    /// Its filter, if it has one.
    pub filter: Option<String>,
}

/// Differs between processes and between starts of one.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn micros<S: serde::Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    span.map(|span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX)).serialize(to)
}
