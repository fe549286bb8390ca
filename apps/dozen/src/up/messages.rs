//! The built-in broker: queues, topics, schedules, and forgetting what is old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Ids, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_pubsub::Topics;
use dozen_queue::{Cron, Queue};
use dozen_store::Store;

use super::Parts;
use crate::Error;
use crate::config::App;

/// What the messages of an application go through.
pub(super) struct Messages {
    pub(super) topics: Topics,
    queues: Vec<Queue>,
}

impl Messages {
    /// The queues of the file.
    pub(super) fn by_name(&self) -> BTreeMap<String, Queue> {
        self.queues.iter().map(|queue| (queue.name().to_owned(), queue.clone())).collect()
    }
}

/// Opens the queues and topics of the file, and gives what sends to them by the clock.
pub(super) async fn open(app: &App, store: &Store, ids: &Ids) -> Result<(Arc<Messages>, Parts), Error> {
    let (mut queues, mut schedules) = (Vec::with_capacity(app.queues.len()), Parts::new());
    for queue in &app.queues {
        let declared = Queue::declare(store, &queue.name, &queue.options).await;
        declared.map_err(Error::pattern("declare the queues"))?;
        let opened = Queue::open_with(store, &queue.name, queue.options.clone(), ids.clone()).await;
        let opened = opened.map_err(Error::pattern("open the queues"))?.with_keys(app.keys.clone());
        if !queue.cron.is_empty() {
            let cron: Arc<dyn Service> = Arc::new(Cron::new(opened.clone(), queue.cron.clone()));
            schedules.push((format!("schedule of {}", queue.name), cron));
        }
        queues.push(opened);
    }
    let topics = topics(app, store);
    topics.declare().await.map_err(Error::pattern("declare the topics"))?;
    Ok((Arc::new(Messages { topics, queues }), schedules))
}

/// The topics of the file on `store`.
pub(crate) fn topics(app: &App, store: &Store) -> Topics {
    let settings = app.topics.iter().map(|topic| (topic.name.clone(), topic.settings.clone()));
    Topics::new(store, settings.collect()).with_keys(app.keys.clone())
}

/// Between two rounds of forgetting, and how much one round forgets of each queue and topic.
const ROUND: Duration = Duration::from_secs(60);
const FORGET_MAX: usize = 5_000;

/// Forgets what is older than the file keeps it.
pub(super) struct Upkeep(pub(super) Arc<Messages>);

impl Upkeep {
    async fn round(&self) -> Result<(), dozen_messaging::Error> {
        for queue in &self.0.queues {
            while queue.trim(FORGET_MAX).await? >= FORGET_MAX as u64 {}
        }
        while self.0.topics.trim(FORGET_MAX).await? >= FORGET_MAX as u64 {}
        Ok(())
    }
}

#[async_trait]
impl Service for Upkeep {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        loop {
            tokio::select! {
                () = stop.soft.cancelled() => return Ok(()),
                () = tokio::time::sleep(ROUND) => {}
            }
            tokio::select! {
                () = stop.soft.cancelled() => return Ok(()),
                round = self.round() => if let Err(error) = round {
                    tracing::warn!("cannot forget old messages: {}", chain(&error));
                },
            }
        }
    }
}
