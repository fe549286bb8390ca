//! The topics of an application, on its store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Message, Timestamp, Token, nearest};
use dozen_messaging::{
    Broker, Error, JournalSubscriber, Publisher, Start, Subscriber, SubscriptionOptions, declare,
};
use dozen_store::{Journal, Store};

use crate::TopicOptions;

/// How long a subscriber may hold a message unless it says otherwise.
const LEASE: Duration = Duration::from_secs(30);

/// The topics that an application has declared.
#[derive(Clone)]
pub struct Topics {
    store: Store,
    journal: Journal,
    topics: Arc<BTreeMap<String, TopicOptions>>,
}

impl Topics {
    /// These topics, on `store`. A topic that is not among them is an error, so that a slip in a name is noticed.
    pub fn new(store: &Store, topics: BTreeMap<String, TopicOptions>) -> Self {
        Self { store: store.clone(), journal: store.journal(), topics: Arc::new(topics) }
    }

    /// The stream that holds the messages of `topic`.
    pub fn stream(topic: &str) -> Arc<str> {
        TopicOptions::stream(topic)
    }

    /// Writes down the settings of all of them, for every program that publishes.
    pub async fn declare(&self) -> Result<(), Error> {
        for (topic, options) in self.topics.iter() {
            declare(&self.store, "topic", topic, options).await?;
        }
        Ok(())
    }

    fn options(&self, topic: &str) -> Result<&TopicOptions, Error> {
        self.topics.get(topic).ok_or_else(|| Error::Unknown {
            kind: "topic",
            name: topic.chars().take(200).collect(),
            known: nearest(topic, self.topics.keys().map(String::as_str)),
        })
    }

    /// Opens a subscription as the concrete type, whose acknowledgements can stand in a transaction.
    pub async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<JournalSubscriber, Error> {
        self.options(topic)?;
        if name.is_empty() || name.len() > 200 {
            return Err(Error::Invalid("a subscription needs a name of 1 to 200 characters".into()));
        }
        let (stream, reader) = (Self::stream(topic), Arc::from(name));
        let start = match options.start {
            Start::Latest => dozen_store::Start::Latest,
            Start::Earliest => dozen_store::Start::Earliest,
            Start::After(position) => dozen_store::Start::After(position),
            Start::At(moment) => dozen_store::Start::At(moment),
        };
        let opened = self.journal.open(&stream, &reader, start).await;
        opened.map_err(|error| Error::engine(format!("subscribe `{name}` to topic `{topic}`"), error))?;
        let lease = options.lease.unwrap_or(LEASE);
        Ok(JournalSubscriber::new(self.store.clone(), stream, reader, lease))
    }

    /// Forgets messages that are older than their topic keeps them and that no subscription still needs. Gives how many.
    pub async fn trim(&self, limit: usize) -> Result<u64, Error> {
        let mut gone = 0;
        for (topic, options) in self.topics.iter() {
            let keep = i64::try_from(options.keep.as_micros()).unwrap_or(i64::MAX);
            let before = Timestamp(self.store.clock().now().0.saturating_sub(keep));
            let trimmed = self.journal.trim(&Self::stream(topic), before, None, limit).await;
            gone += trimmed.map_err(|error| Error::engine(format!("trim topic `{topic}`"), error))?;
        }
        Ok(gone)
    }
}

#[async_trait]
impl Publisher for Topics {
    async fn publish(&self, topic: &str, mut messages: Vec<Message>) -> Result<Token, Error> {
        let door = dozen_messaging::Admission::new(topic, self.options(topic)?.clone(), None)?;
        for message in &mut messages {
            door.admit(message)?;
        }
        let appended = self.journal.append(&Self::stream(topic), messages).await;
        appended.map_err(|error| Error::engine(format!("publish on topic `{topic}`"), error))
    }
}

#[async_trait]
impl Broker for Topics {
    async fn subscribe(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscriber>, Error> {
        Ok(Arc::new(self.subscription(topic, name, options).await?))
    }

    async fn unsubscribe(&self, topic: &str, name: &str) -> Result<bool, Error> {
        self.options(topic)?;
        let closed = self.journal.close(&Self::stream(topic), &Arc::from(name)).await;
        closed.map_err(|error| Error::engine(format!("end subscription `{name}` of topic `{topic}`"), error))
    }

    async fn topics(&self) -> Result<Vec<String>, Error> {
        Ok(self.topics.keys().cloned().collect())
    }
}
