//! Applies fed writes on the other side, for every feature that has an authority.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Ids, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::{Delivery, Handler, Policy, Verdict, Worker, WorkerOptions};
use dozen_store::Store;
use dozen_strangler::{Applier, Feed, Registry};
use tokio::task::JoinSet;

use super::sender::Direct;

/// How often it looks whether the file names another.
const LOOK: Duration = Duration::from_millis(500);
/// How long applying one write may take, its comparison included.
const LEASE: Duration = Duration::from_secs(60);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Writes of different keys that are applied at once.
const RUNNING_MAX: usize = 8;

/// Keeps one worker for each feed.
pub(super) struct Feeding {
    pub(super) registry: Arc<Registry>,
    pub(super) sender: Arc<Direct>,
    pub(super) store: Store,
    pub(super) ids: Ids,
}

/// Applies with the feature as the file has it at the moment.
struct Applying {
    registry: Arc<Registry>,
    sender: Arc<Direct>,
    feature: String,
}

#[async_trait]
impl Handler for Applying {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        match self.registry.feature(&self.feature) {
            Some(feature) => Applier::new(feature, self.sender.clone(), PATIENCE).handle(delivery).await,
            None => Verdict::Failed("its feature is not in the file any more".into()),
        }
    }
}

impl Feeding {
    async fn worker(&self, feature: &str) -> Result<Worker, dozen_strangler::Error> {
        let subscriber = Feed::new(&self.store, feature).subscriber(LEASE).await?;
        let (registry, sender) = (self.registry.clone(), self.sender.clone());
        let handler = Applying { registry, sender, feature: feature.to_owned() };
        // A side that is away for a night must not lose a write: it is tried until it takes it.
        let policy = Policy { attempts_max: u32::MAX, ..Policy::default() };
        let options = WorkerOptions { running_max: RUNNING_MAX, policy, ..WorkerOptions::default() };
        let name = format!("feed of {feature}");
        Ok(Worker::new(name, Arc::new(subscriber), Arc::new(handler), options, self.ids.clone()))
    }
}

#[async_trait]
impl Service for Feeding {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let (mut fed, mut workers) = (BTreeSet::new(), JoinSet::new());
        loop {
            for feature in self.registry.features() {
                let name = feature.name();
                if feature.options().writes.authority.is_none() || fed.contains(name) {
                    continue;
                }
                match self.worker(name).await {
                    Ok(worker) => {
                        fed.insert(name.to_owned());
                        let (ready, _) = Ready::channel();
                        workers.spawn(Arc::new(worker).run(stop.clone(), ready));
                    }
                    Err(error) => tracing::warn!(feature = name, error = chain(&error), "its feed waits"),
                }
            }
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                Some(ended) = workers.join_next() => ended??,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }
}
