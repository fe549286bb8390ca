//! The topics of an application, on its store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Message, Token};
use dozen_messaging::{
    Admission, Broker, Error, Keyring, Publisher, Subscriber, SubscriptionOptions, TopicSettings, unknown,
};
use dozen_store::{Append, Journal, Op, Record, Store};

use crate::Subscription;
use crate::catalog::{HINTS, SPACE};
use crate::known::Known;

/// Names of topics that are read in one step, and all that are read.
const PAGE: usize = 1_000;
const TOPICS_MAX: usize = 100_000;

/// The topics of a store. Cheap to clone.
#[derive(Clone)]
pub struct Topics {
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    /// What the program brings itself: it holds where nothing is declared.
    own: Arc<BTreeMap<String, TopicSettings>>,
    pub(crate) keys: Option<Keyring>,
    pub(crate) known: Arc<Known>,
}

impl Topics {
    /// The topics that are declared in `store`. One that is not is an error, so that a slip in a name is noticed.
    pub fn open(store: &Store) -> Self {
        Self::new(store, BTreeMap::new())
    }

    /// The topics that are declared in `store`, and these, which this program brings until they are declared.
    pub fn new(store: &Store, topics: BTreeMap<String, TopicSettings>) -> Self {
        let journal = store.journal();
        let known = Arc::new(Known::new(journal.changes(HINTS)));
        Self { store: store.clone(), journal, own: Arc::new(topics), keys: None, known }
    }

    /// Seals what is published on sealed topics, and opens what is received, with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Keyring>) -> Self {
        self.known = Arc::new(Known::new(self.journal.changes(HINTS)));
        self.keys = keys;
        self
    }

    /// The stream that holds the messages of `topic`.
    pub fn stream(topic: &str) -> Arc<str> {
        TopicSettings::stream(topic)
    }

    /// Writes down the settings of all that this program brings, for every program that publishes.
    pub async fn declare(&self) -> Result<(), Error> {
        for (topic, settings) in self.own.iter() {
            self.declare_topic(topic, settings).await?;
        }
        Ok(())
    }

    /// A topic's settings as they are now.
    pub async fn settings(&self, topic: &str) -> Result<TopicSettings, Error> {
        Ok(self.door(topic).await?.settings().clone())
    }

    /// What a message must be for `topic` to take it.
    pub(crate) async fn door(&self, topic: &str) -> Result<Arc<Admission>, Error> {
        let generation = match self.known.current(topic) {
            Ok(door) => return Ok(door),
            Err(generation) => generation,
        };
        let row = self.store.table(SPACE).get(topic).await;
        let row = row.map_err(|error| Error::engine(format!("look up topic `{topic}`"), error))?;
        let version = row.as_ref().map(|row| row.version);
        if let Some(door) = self.known.same(topic, version, generation) {
            return Ok(door);
        }
        let settings = match (row, self.own.get(topic)) {
            (Some(row), _) => serde_json::from_slice(&row.value).map_err(|error| {
                Error::Invalid(format!("the declared settings of topic `{topic}` cannot be read: {error}"))
            })?,
            (None, Some(own)) => own.clone(),
            (None, None) => {
                self.known.forget(topic);
                return Err(self.unknown(topic).await);
            }
        };
        let door = Arc::new(Admission::new(topic, settings, self.keys.clone())?);
        self.known.keep(topic, version, &door, generation);
        Ok(door)
    }

    async fn unknown(&self, topic: &str) -> Error {
        if self.own.is_empty() {
            return unknown(&self.store, "topic", topic).await;
        }
        let names = self.names().await.unwrap_or_default();
        let known = dozen_core::nearest(topic, names.iter().map(String::as_str));
        Error::Unknown { kind: "topic", name: topic.chars().take(200).collect(), known }
    }

    /// The operation that publishes `messages`, for a transaction of the caller's: they are there if and only if that commits.
    pub async fn publishing(&self, topic: &str, mut messages: Vec<Message>) -> Result<Op, Error> {
        let door = self.door(topic).await?;
        for message in &mut messages {
            door.admit(message)?;
        }
        let records = messages.into_iter().map(Record::from).collect();
        let at = self.store.clock().now();
        Ok(Op::Append(Append { stream: Self::stream(topic), records, at, due: None }))
    }

    /// The names of the topics that exist.
    pub async fn names(&self) -> Result<BTreeSet<String>, Error> {
        let mut names: BTreeSet<String> = self.own.keys().cloned().collect();
        let mut after = String::new();
        while names.len() < TOPICS_MAX {
            let rows = self.store.table(SPACE).list(&after, PAGE).await;
            let rows = rows.map_err(|error| Error::engine("list the topics", error))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.key);
            let is_last = rows.len() < PAGE;
            names.extend(rows.into_iter().map(|row| row.key));
            if is_last {
                break;
            }
        }
        Ok(names)
    }
}

#[async_trait]
impl Publisher for Topics {
    async fn publish(&self, topic: &str, mut messages: Vec<Message>) -> Result<Token, Error> {
        let door = self.door(topic).await?;
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
        let subscription: Subscription = self.subscription(topic, name, options).await?;
        Ok(Arc::new(subscription))
    }

    async fn unsubscribe(&self, topic: &str, name: &str) -> Result<bool, Error> {
        self.end(topic, name).await
    }

    async fn topics(&self) -> Result<Vec<String>, Error> {
        Ok(self.names().await?.into_iter().collect())
    }
}
