//! What `GET /metrics` tells: collectors over the store, the relays, and what this process counts.
//!
//! The console has all of it; a sidecar has what concerns its own service, so that either can be scraped without
//! counting anything twice.

mod gateway;
mod process;
mod queues;
mod relays;
mod services;
mod subscriptions;
mod tally;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dozen_dataplane::Upstreams;
use dozen_gateway::Gateway;
use dozen_metrics::{CONTENT_TYPE, Collector, Registry};
use dozen_pubsub::Topics;
use dozen_store::{Observed, Store};

pub(crate) use tally::{Tallies, Tally};

use super::features::Facade;
use super::relays::Carrying;
use super::traces::Traces;
use super::translators::{self, Current};
use crate::config::{App, Receiver};

/// Where metrics come from.
pub(super) struct Sources<'a> {
    pub(super) store: &'a Store,
    pub(super) observed: &'a Arc<Observed>,
    pub(super) topics: &'a Topics,
    pub(super) relays: &'a [Carrying],
    pub(super) tallies: &'a Tallies,
    pub(super) upstreams: &'a Arc<Upstreams>,
    pub(super) gateway: Option<&'a Arc<Gateway>>,
    pub(super) features: &'a Arc<Facade>,
    pub(super) traces: &'a Arc<Traces>,
    pub(super) translators: &'a Arc<Current>,
}

impl Sources<'_> {
    /// Everything.
    pub(super) fn all(&self) -> Arc<Registry> {
        let relays =
            self.relays.iter().map(|carrying| (carrying.name.clone(), carrying.relay.clone())).collect();
        let mut collectors: Vec<Arc<dyn Collector>> = vec![
            Arc::new(process::Process {
                engine: self.store.capabilities().engine,
                observed: self.observed.clone(),
            }),
            Arc::new(queues::Queues(self.store.clone())),
            Arc::new(subscriptions::Subscriptions { topics: self.topics.clone(), only: None }),
            Arc::new(subscriptions::Deliveries { tallies: self.tallies.clone(), only: None }),
            Arc::new(relays::Relays(relays)),
            Arc::new(translators::Measured(self.translators.clone())),
            Arc::new(services::Services(self.upstreams.clone())),
        ];
        if let Some(gateway) = self.gateway {
            collectors.push(Arc::new(gateway::Routes(gateway.clone())));
            collectors.push(self.traces.measured());
            let (registry, shadow) = (self.features.registry.clone(), self.features.shadow.clone());
            collectors.push(Arc::new(dozen_strangler::Metrics::new(registry, Some(shadow))));
        }
        Arc::new(Registry::new(collectors))
    }

    /// What concerns one service: the subscriptions that the file gives it, and those that it has made through its sidecar.
    pub(super) fn of_service(&self, app: &App, service: &str) -> Arc<Registry> {
        let to_it = |to: &Receiver| matches!(to, Receiver::Service(target) if target.service == service);
        let mut names: Vec<String> =
            app.subscriptions.iter().filter(|one| to_it(&one.to)).map(|one| one.name.clone()).collect();
        names.push(service.to_owned());
        let only: Option<Arc<[String]>> = Some(names.into());
        let collectors: Vec<Arc<dyn Collector>> = vec![
            Arc::new(subscriptions::Subscriptions { topics: self.topics.clone(), only: only.clone() }),
            Arc::new(subscriptions::Deliveries { tallies: self.tallies.clone(), only }),
        ];
        Arc::new(Registry::new(collectors))
    }
}

/// `GET /metrics`.
pub(super) fn router(registry: Arc<Registry>) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let registry = registry.clone();
            async move { page(&registry).await }
        }),
    )
}

async fn page(registry: &Registry) -> Response {
    let page = registry.render().await.to_string();
    ([(http::header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response()
}

type Collected = Result<(), Box<dyn std::error::Error + Send + Sync>>;
