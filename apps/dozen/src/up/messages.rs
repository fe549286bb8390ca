//! The built-in broker: queues, topics, and the subscriptions that are pushed.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Ids, chain};
use dozen_dataplane::Client;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::{
    Broker, DeadLetterTo, Handler, Policy, Start, SubscriptionOptions, WhileHealthy, Worker, WorkerOptions,
};
use dozen_pubsub::{Push, TopicOptions, Topics};
use dozen_queue::{Cron, Options, Queue};
use dozen_store::Store;

use super::Parts;
use super::registry::Resolve;
use crate::Error;
use crate::config::App;

/// What the messages of an application go through.
pub(super) struct Messages {
    pub(super) topics: Topics,
    queues: Vec<Queue>,
}

/// Opens the queues and topics of the file, and gives what sends to them by the clock.
pub(super) async fn open(app: &App, store: &Store, ids: &Ids) -> Result<(Arc<Messages>, Parts), Error> {
    let (mut queues, mut schedules) = (Vec::with_capacity(app.queues.len()), Vec::new());
    for queue in &app.queues {
        let options = Options {
            lease: queue.lease,
            policy: Policy { attempts_max: queue.attempts_max, backoff: queue.backoff },
            bytes_max: queue.body_max,
            waiting_max: NonZeroU64::new(queue.waiting_max),
            keep: queue.keep,
            per_key: queue.per_key,
            priorities: queue.priorities,
            expire: queue.expire,
            per_second: queue.rate,
            prefetch: queue.prefetch,
            sealed: queue.sealed,
        };
        let declared = Queue::declare(store, &queue.name, &options).await;
        declared.map_err(Error::pattern("declare the queues"))?;
        let opened = Queue::open_with(store, &queue.name, options, ids.clone()).await;
        let opened = opened.map_err(Error::pattern("open the queues"))?.with_keys(app.keys.clone());
        if !queue.cron.is_empty() {
            let cron: Arc<dyn Service> = Arc::new(Cron::new(opened.clone(), queue.cron.clone()));
            schedules.push((format!("schedule of {}", queue.name), cron));
        }
        queues.push(opened);
    }
    let topics = app.topics.iter().map(|topic| {
        let options = TopicOptions {
            keep: topic.keep,
            bytes_max: topic.body_max,
            key: topic.key.clone(),
            ..TopicOptions::default()
        };
        (topic.name.clone(), options)
    });
    let topics = Topics::new(store, topics.collect());
    topics.declare().await.map_err(Error::pattern("declare the topics"))?;
    Ok((Arc::new(Messages { topics, queues }), schedules))
}

/// One worker for each subscription of the file and each of its topics. All are there, and miss nothing, from now on.
pub(super) async fn pushes(
    app: &App,
    messages: &Messages,
    resolve: &Resolve,
    client: &Client,
    ids: &Ids,
) -> Result<Parts, Error> {
    let mut workers: Parts = Vec::new();
    for subscription in &app.subscriptions {
        let service = &subscription.to.service;
        let Some(endpoints) = resolve(service) else { continue };
        for topic in &subscription.topics {
            let start = if subscription.earliest { Start::Earliest } else { Start::Latest };
            let lease = Some(subscription.lease);
            let options = SubscriptionOptions { start, lease, ..SubscriptionOptions::default() };
            let subscriber = messages.topics.subscribe(topic, &subscription.name, options).await;
            let subscriber = subscriber.map_err(Error::pattern("open the subscriptions"))?;
            let subscriber = Arc::new(WhileHealthy::new(subscriber, endpoints.clone()));
            let path = subscription.to.path.as_deref().unwrap_or("/");
            let push = Push::new(service, path, endpoints.clone(), client.clone(), subscription.lease);
            let mut handler: Arc<dyn Handler> = Arc::new(push);
            if let Some(dead) = &subscription.dead_letter_topic {
                let publisher = Arc::new(messages.topics.clone());
                handler = Arc::new(DeadLetterTo::new(handler, publisher, dead, subscription.attempts_max));
            }
            let options = WorkerOptions {
                running_max: subscription.in_flight_max,
                policy: Policy { attempts_max: subscription.attempts_max, backoff: subscription.backoff },
                ..WorkerOptions::default()
            };
            let name = format!("subscription {} of {topic}", subscription.name);
            workers
                .push((name.clone(), Arc::new(Worker::new(name, subscriber, handler, options, ids.clone()))));
        }
    }
    Ok(workers)
}

/// Between two rounds of forgetting, and how much one round forgets of each queue and topic.
const ROUND: Duration = Duration::from_secs(60);
const FORGET_MAX: usize = 5_000;

/// Forgets what is older than the file keeps it.
pub(super) struct Upkeep(pub(super) Arc<Messages>);

impl Upkeep {
    async fn round(&self) -> Result<(), dozen_messaging::Error> {
        for queue in &self.0.queues {
            while queue.trim(FORGET_MAX).await? == FORGET_MAX as u64 {}
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
            if let Err(error) = self.round().await {
                tracing::warn!("cannot forget old messages: {}", chain(&error));
            }
        }
    }
}
