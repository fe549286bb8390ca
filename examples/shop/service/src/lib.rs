//! What the shop's Rust programs share: a store, a port, and an orderly end.
//!
//! `dozen up` tells a program where things are by its environment: `PORT` to listen on, `DOZEN_STORE` to keep state in.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dozen_core::{Diagnose, Fault, Ids, SystemClock, TraceContext, chain};
use dozen_dataplane::{Limits, Server};
pub use dozen_lifecycle::BoxError;
use dozen_lifecycle::{Service, Supervisor};
use dozen_store::Store;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

/// The work of writing an invoice, as it stands in the queue.
#[derive(Debug, Serialize, Deserialize, dozen_messaging::Message)]
#[message(name = "invoice")]
pub struct Invoice {
    /// The order that it is for.
    pub id: String,
    /// What was ordered.
    pub sku: String,
    /// How many of it.
    pub quantity: i64,
}

/// What a program of the shop works with.
#[derive(Clone)]
pub struct Shop {
    /// Where its rows, its events and its work stand.
    pub store: Store,
    /// Makes ids.
    pub ids: Ids,
}

impl Shop {
    /// Opens what the environment names.
    pub async fn open() -> Result<Self, BoxError> {
        let address = env::var("DOZEN_STORE").unwrap_or_else(|_| "sqlite:shop.db".into());
        let store = dozen_open::open(&address).await?;
        Ok(Self { store, ids: Ids::new(Arc::new(SystemClock), dozen_open::seed()) })
    }

    /// Makes a table, if it is not there.
    pub async fn table(&self, definition: &str) -> Result<(), BoxError> {
        let create = format!("create table if not exists {definition}");
        self.store.transaction(async |tx| tx.execute(&create, []).await).await?;
        Ok(())
    }
}

/// Serves `router`, and runs `others` beside it, until the program is told to end.
pub async fn run(router: Router, others: Vec<(&str, Arc<dyn Service>)>) -> Result<(), BoxError> {
    let port: u16 = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(7001);
    let router = router.route("/healthz", get(async || StatusCode::NO_CONTENT));
    let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Limits::default())?;
    let mut supervisor = Supervisor::new(Duration::from_secs(8));
    for (name, service) in others {
        supervisor.start(name, service);
    }
    supervisor.start("http", server.serving(router));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let report = supervisor
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    match report.failed {
        Some((name, why)) => Err(format!("{name}: {why}").into()),
        None => Ok(()),
    }
}

/// The end of `main`: an error is told with its causes.
pub fn exit(result: Result<(), BoxError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The trace that a request belongs to, so that what it causes can be followed.
pub fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// An answer in JSON.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [("content-type", "application/json")], value.to_string()).into_response()
}

/// An error as an answer: what a client may know of it.
pub fn refused(error: &impl Diagnose) -> Response {
    eprintln!("{}", chain(error));
    let status = match error.fault() {
        Fault::Caller => StatusCode::BAD_REQUEST,
        Fault::Dependency | Fault::Ourselves => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(status, &serde_json::json!({ "error": "the order could not be kept; nothing of it was" }))
}
