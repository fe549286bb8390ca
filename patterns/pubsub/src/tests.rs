//! On the reference engine.

mod lifecycle;
mod pushed;
mod subscribed;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, Message, SystemClock};
use dozen_memory::Memory;
use dozen_messaging::{Publisher as _, Settlement, Start, Subscriber, SubscriptionOptions};
use dozen_store::Store;

use crate::{TopicOptions, Topics};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn store() -> Store {
    Store::new(Memory::new(), Arc::new(SystemClock))
}

fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), 1)
}

/// The topics of a store in which these are declared.
async fn declared(store: &Store, names: &[&str]) -> Topics {
    let topics = Topics::open(store);
    for name in names {
        topics.declare_topic(name, &TopicOptions::default()).await.unwrap();
    }
    topics
}

fn event(id: &str, data: &str) -> Message {
    Message::new(id, "/test", "test.done").with_data(None, data.to_owned())
}

async fn publish(topics: &Topics, topic: &str, id: &str) {
    topics.publish(topic, vec![event(id, "{}")]).await.unwrap();
}

fn earliest() -> SubscriptionOptions {
    SubscriptionOptions { start: Start::Earliest, ..SubscriptionOptions::default() }
}

fn filtered(filter: &str) -> SubscriptionOptions {
    SubscriptionOptions { filter: Some(filter.into()), ..earliest() }
}

/// The ids of the next `count` messages, which are done then.
async fn next(subscriber: &dyn Subscriber, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let deliveries = subscriber.receive(count - ids.len(), DEADLINE).await.unwrap();
        assert!(!deliveries.is_empty(), "only {ids:?} came");
        for delivery in deliveries {
            let settled = subscriber.settle(vec![(delivery.lease, Settlement::Done)]).await.unwrap();
            assert_eq!(settled, [true]);
            ids.push(delivery.message.id);
        }
    }
    ids
}

async fn nothing(subscriber: &dyn Subscriber) -> bool {
    subscriber.receive(10, Duration::ZERO).await.unwrap().is_empty()
}
