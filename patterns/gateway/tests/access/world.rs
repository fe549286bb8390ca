//! A keeper that runs, requests that are asked about, and a server that does what a test says.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dozen_core::{Clock, Ids, SystemClock, TraceContext};
use dozen_dataplane::framing::Field;
use dozen_dataplane::{BoxError, Limits, Server};
use dozen_gateway::Keeper;
use dozen_gateway::access::{Access, AccessOptions, Admission, Counted, Entrance, Pass, RouteAccess};
use dozen_gateway::auth::{Refusal, View};
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_store::Store;
use serde_json::Value;
use tokio::task::JoinHandle;

/// Nothing that works takes this long.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A part of the process, for as long as a test wants it.
pub(crate) struct Running {
    stop: Stop,
    task: JoinHandle<Result<(), BoxError>>,
}

impl Running {
    pub(crate) async fn start(service: Arc<dyn Service>) -> Self {
        let stop = Stop::new();
        let (ready, mut watching) = Ready::channel();
        let task = tokio::spawn(service.run(stop.clone(), ready));
        watching.wait_for(|ready| *ready).await.unwrap();
        Self { stop, task }
    }

    pub(crate) async fn end(self) {
        self.stop.soft.cancel();
        self.stop.hard.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Serves `router`; gives the address, `http://127.0.0.1:…`.
pub(crate) async fn serve(router: Router) -> (String, Running) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let url = format!("http://{}", server.local_addr());
    (url, Running::start(server.serving(router)).await)
}

/// A keeper, not running yet.
pub(crate) fn keeper(store: Option<Store>) -> Arc<Keeper> {
    Keeper::new(store, Ids::new(Arc::new(SystemClock), rand()))
}

/// Two keepers of one store must not have the same name.
fn rand() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

/// The trace that every request belongs to.
pub(crate) fn trace() -> TraceContext {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap()
}

/// The way into a route, from what a user writes.
pub(crate) fn entrance(keeper: &Arc<Keeper>, shared: Value, route: Value) -> Arc<Entrance> {
    try_entrance(keeper, shared, route).unwrap()
}

pub(crate) fn try_entrance(
    keeper: &Arc<Keeper>,
    shared: Value,
    route: Value,
) -> Result<Arc<Entrance>, String> {
    let shared: AccessOptions = serde_json::from_value(shared).map_err(|error| error.to_string())?;
    let route: RouteAccess = serde_json::from_value(route).map_err(|error| error.to_string())?;
    let access = Access::compile(&shared, keeper).map_err(|error| error.to_string())?;
    access.route("orders", &route).map_err(|error| error.to_string())
}

/// A request to ask about.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: Option<String>,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) address: IpAddr,
}

pub(crate) fn request() -> Request {
    Request {
        method: "GET",
        path: "/orders/7",
        query: None,
        fields: Vec::new(),
        address: "192.0.2.1".parse().unwrap(),
    }
}

impl Request {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.address = address.parse().unwrap();
        self
    }

    /// What the entrance says at once, or that it has to ask.
    pub(crate) fn ask(&self, entrance: &Arc<Entrance>) -> Admission {
        let fields: Vec<Field<'_>> =
            self.fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
        let view = View {
            worker: 0,
            method: self.method,
            scheme: "http",
            host: "shop.example",
            path: self.path,
            query: self.query.as_deref(),
            fields: &fields,
            address: self.address,
            tls: None,
            trace: Some(trace()),
            route: "orders",
            now: SystemClock.now(),
            started: tokio::time::Instant::now().into_std(),
        };
        entrance.admit(&view, Counted::default())
    }

    /// What the entrance says in the end.
    pub(crate) async fn admitted(&self, entrance: &Arc<Entrance>) -> Result<Pass, Refusal> {
        match self.ask(entrance) {
            Admission::Now(answer) => answer,
            Admission::Later(answer) => tokio::time::timeout(SOON, answer).await.unwrap(),
        }
    }

    /// The status that a client would see; 200 for one that passes.
    pub(crate) async fn status(&self, entrance: &Arc<Entrance>) -> u16 {
        self.admitted(entrance).await.map_or_else(|refusal| refusal.status, |_| 200)
    }

    /// The same for an answer that must be there at once.
    pub(crate) fn status_now(&self, entrance: &Arc<Entrance>) -> u16 {
        match self.ask(entrance) {
            Admission::Now(answer) => answer.map_or_else(|refusal| refusal.status, |_| 200),
            Admission::Later(_) => panic!("it asks somebody"),
        }
    }
}

/// Asks again until `seen`.
pub(crate) async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !seen().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, waiting).await.is_ok(), "{what}");
}
