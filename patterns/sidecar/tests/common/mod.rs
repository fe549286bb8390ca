//! What the tests of this crate share: a broker in memory, an app of the test's own, and a sidecar between them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

pub mod broker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{Caller, Limits, Resolve, Server};
use dozen_harness::{Part, Reply, ask};
use dozen_sidecar::{Options, Sidecar};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use broker::Memory;

pub const LONG: Duration = Duration::from_secs(30);

pub fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), 1)
}

/// A call that the app received.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

type Answers = Arc<dyn Fn(&Call) -> Response + Send + Sync>;

/// An app whose answers the test decides. Every call but those of the start-up is shown to the test.
pub struct App {
    pub address: String,
    pub calls: mpsc::UnboundedReceiver<Call>,
    pub part: Part,
}

impl App {
    pub fn start(port: u16, answers: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        let (shown, calls) = mpsc::unbounded_channel();
        let state: (Answers, _) = (Arc::new(answers), shown);
        let handle = async |State((answers, shown)): State<(Answers, mpsc::UnboundedSender<Call>)>,
                            method: Method,
                            uri: Uri,
                            headers: HeaderMap,
                            body: Bytes| {
            let call = Call { method, uri, headers, body };
            let response = answers(&call);
            if !call.uri.path().starts_with("/dapr/") {
                let _ = shown.send(call);
            }
            response
        };
        let router = Router::new().fallback(handle).with_state(state);
        let server =
            Server::bind(([127, 0, 0, 1], port).into(), Limits::default()).expect("the port is free");
        let address = server.local_addr().to_string();
        Self { address, calls, part: Part::start(server.serving(router)) }
    }

    pub async fn next(&mut self) -> Call {
        tokio::time::timeout(LONG, self.calls.recv())
            .await
            .expect("a call comes in time")
            .expect("the app runs")
    }
}

/// Answers `/dapr/subscribe` with `wanted` and leaves the rest to `answers`.
pub fn subscribing(
    wanted: Value,
    answers: impl Fn(&Call) -> Response + Send + Sync + 'static,
) -> impl Fn(&Call) -> Response + Send + Sync + 'static {
    move |call| match call.uri.path() {
        "/dapr/subscribe" => axum::Json(wanted.clone()).into_response(),
        "/dapr/config" => StatusCode::NOT_FOUND.into_response(),
        _ => answers(call),
    }
}

/// Services by name, as the sidecar sees them.
#[derive(Clone, Default)]
pub struct Services(Arc<Mutex<HashMap<String, watch::Sender<Arc<EndpointSet>>>>>);

impl Services {
    pub fn set(&self, service: &str, addresses: &[&str]) {
        let endpoints = addresses.iter().map(|address| Endpoint::at(*address)).collect();
        let set = Arc::new(EndpointSet { service: service.into(), version: 1, endpoints });
        let mut services = self.0.lock().expect("no test panics while it holds it");
        services.entry(service.into()).or_insert_with(|| watch::Sender::new(set.clone())).send_replace(set);
    }

    pub fn resolve(&self) -> Resolve {
        let services = self.0.clone();
        Arc::new(move |name| {
            let services = services.lock().expect("no test panics while it holds it");
            services.get(name).map(watch::Sender::subscribe)
        })
    }
}

/// A sidecar behind a real socket.
pub struct Running {
    pub url: String,
    pub sidecar: Arc<Sidecar>,
    pub broker: Arc<Memory>,
    pub services: Services,
    pub part: Part,
}

pub fn start(options: Options) -> Running {
    start_with(options, |sidecar| sidecar)
}

pub fn start_with(options: Options, and: impl FnOnce(Sidecar) -> Sidecar) -> Running {
    let (broker, services) = (Arc::new(Memory::default()), Services::default());
    let caller = Caller::plain(services.resolve(), ids());
    let sidecar = Sidecar::new(options, broker.clone(), caller, ids());
    let sidecar = Arc::new(and(sidecar));
    let server =
        Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("loopback has a free port");
    let url = format!("http://{}", server.local_addr());
    let part = Part::start(sidecar.serving(server));
    Running { url, sidecar, broker, services, part }
}

/// One request over a client that shares nothing with the product.
pub async fn call(method: &str, url: String, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    ask(method, &url, headers, body).await.expect("the sidecar answers")
}

pub fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}
