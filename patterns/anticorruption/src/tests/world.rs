//! Another system: a server on a real socket, and translators that ask it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{Caller, Limits, Resolve, Server};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_mapping::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Error, Example, Http, Options, Problem, Translators};

pub(super) struct World {
    pub(super) address: SocketAddr,
    stop: Stop,
    task: JoinHandle<Result<(), BoxError>>,
    /// Requests that the server has seen.
    pub(super) seen: Arc<AtomicUsize>,
}

impl World {
    pub(super) async fn start(router: Router) -> Self {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        let router = router.layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                counter.fetch_add(1, Ordering::SeqCst);
                next.run(request)
            },
        ));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
        let address = server.local_addr();
        let service: Arc<dyn Service> = server.serving(router);
        let stop = Stop::new();
        let (ready, mut watching) = Ready::channel();
        let task = tokio::spawn(service.run(stop.clone(), ready));
        watching.wait_for(|ready| *ready).await.unwrap();
        Self { address, stop, task, seen }
    }

    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// Translators that reach the server as every service but `away`, where nobody listens.
    pub(super) fn translators(&self, options: serde_json::Value) -> Arc<Translators> {
        self.with_examples(options, &[])
    }

    pub(super) fn with_examples(
        &self,
        options: serde_json::Value,
        examples: &[(&str, &str)],
    ) -> Arc<Translators> {
        compile(options, examples, Some(self.address)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) async fn end(self) {
        self.stop.soft.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub(super) fn compile(
    options: serde_json::Value,
    examples: &[(&str, &str)],
    address: Option<SocketAddr>,
) -> Result<Arc<Translators>, Error> {
    let options: Options = serde_json::from_value(options).unwrap_or_else(|error| panic!("{error}"));
    let examples: BTreeMap<String, Vec<Example>> = examples
        .iter()
        .map(|(name, text)| {
            ((*name).to_owned(), Example::read(text).unwrap_or_else(|error| panic!("{error}")))
        })
        .collect();
    // A port that was free a moment ago, and that nobody listens on.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolve: Resolve = Arc::new(move |service: &str| {
        let address = if service == "away" { nobody } else { address? };
        let endpoints = vec![Endpoint::at(address.to_string())];
        let set = EndpointSet { service: service.to_owned(), version: 1, endpoints };
        Some(watch::channel(Arc::new(set)).1)
    });
    let ids = Ids::new(Arc::new(SystemClock), 7);
    let foreign = Arc::new(Http::new(Caller::plain(resolve, ids.clone())));
    Translators::compile(&options, &examples, foreign, ids).map(Arc::new)
}

pub(super) fn value(text: &str) -> Value {
    json::read(text, &dozen_mapping::Limits::default()).unwrap()
}

/// What an operation says, as a text: its result with its members sorted, or `! kind status: title: detail`.
pub(super) fn said(answered: &Result<Value, Problem>) -> String {
    match answered {
        Ok(value) => crate::cache::key(value).unwrap().to_string(),
        Err(problem) => format!("! {} {}: {problem}", problem.kind, problem.status),
    }
}

pub(super) async fn call(translators: &Translators, name: &str, input: &str) -> String {
    said(&translators.get(name).unwrap().call(value(input)).await)
}
