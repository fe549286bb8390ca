//! Topics and subscriptions as they stand.

use std::collections::BTreeMap;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_messaging::{CircuitStatus, Error, TopicSettings};
use dozen_store::ReaderStatus;
use serde::Serialize;

use crate::Topics;
use crate::pushing::circuits;
use crate::remembered::{Key, Remembered, all};

/// A topic as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicStatus {
    /// Its name.
    pub topic: String,
    /// Messages that were ever published.
    pub published: u64,
    /// Bytes of payload that are kept.
    pub bytes: u64,
    /// Its settings.
    pub settings: TopicSettings,
}

/// A subscription as it stands, its topics together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubscriptionStatus {
    /// The topic, or the pattern that stands for its topics.
    pub topic: String,
    /// Its name.
    pub name: String,
    /// Which messages it wants; `None` is all.
    pub filter: Option<String>,
    /// How many messages are before it: neither finished nor dead letters. Before a filter has looked at them, all count.
    pub lag: u64,
    /// How long the oldest of them has been waiting.
    pub behind: Option<Duration>,
    /// When the oldest of them was published.
    pub oldest: Option<Timestamp>,
    /// In receivers' hands.
    pub leased: u64,
    /// Waiting for another attempt.
    pub waiting: u64,
    /// Behind another message of their key.
    pub held: u64,
    /// Dead letters.
    pub dead: u64,
    /// Keys that a dead letter holds up.
    pub parked_keys: u64,
    /// Whether its receivers rest.
    pub paused: bool,
    /// The circuit of the receiver that it is pushed to, while it is open.
    pub circuit: Option<CircuitStatus>,
}

impl SubscriptionStatus {
    /// Counts `other` in. Topic, name and filter stay.
    pub fn add(&mut self, other: &Self) {
        self.lag += other.lag;
        self.leased += other.leased;
        self.waiting += other.waiting;
        self.held += other.held;
        self.dead += other.dead;
        self.parked_keys += other.parked_keys;
        self.paused |= other.paused;
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        self.behind = self.behind.max(other.behind);
        if self.circuit.is_none() {
            self.circuit.clone_from(&other.circuit);
        }
    }

    /// One topic of a subscription, without its names.
    fn of_one(reader: &ReaderStatus, now: Timestamp) -> Self {
        Self {
            lag: reader.lag(),
            behind: reader.oldest.map(|oldest| now.since(oldest)),
            oldest: reader.oldest,
            leased: reader.leased,
            waiting: reader.waiting,
            held: reader.held,
            dead: reader.parked,
            parked_keys: reader.parked_keys,
            paused: reader.paused,
            ..Self::default()
        }
    }
}

impl Topics {
    /// Every topic, by name.
    pub async fn topic_statuses(&self) -> Result<Vec<TopicStatus>, Error> {
        let streams = self.journal.streams(&Self::stream("")).await;
        let streams = streams.map_err(|error| Error::engine("look at the topics", error))?;
        let streams: BTreeMap<&str, _> =
            streams.iter().map(|stream| (stream.stream.as_str(), (stream.appended, stream.bytes))).collect();
        let mut statuses = Vec::new();
        for topic in self.names().await? {
            let (published, bytes) = streams.get(&*Self::stream(&topic)).copied().unwrap_or_default();
            let settings = self.settings(&topic).await?;
            statuses.push(TopicStatus { topic, published, bytes, settings });
        }
        Ok(statuses)
    }

    /// Every subscription, by topic or pattern and name; and every other reader of a topic, as one of that topic.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionStatus>, Error> {
        let remembered = all(&self.store).await?;
        let readers = self.journal.readers(&Self::stream("")).await;
        let readers = readers.map_err(|error| Error::engine("look at the subscriptions", error))?;
        let mut circuits = circuits(&self.store).await?;
        let now = self.store.clock().now();
        let mut statuses: BTreeMap<(String, String), SubscriptionStatus> = remembered
            .iter()
            .map(|(key, settings)| {
                let mut status = fresh(key.pattern.text(), &key.name);
                (status.filter, status.paused) = (settings.filter.clone(), settings.paused);
                status.circuit = circuits.remove(&key.row());
                ((status.topic.clone(), status.name.clone()), status)
            })
            .collect();
        let patterns = by_name(&remembered);
        for reader in &readers {
            let Some(topic) = reader.stream.strip_prefix("topic/") else { continue };
            let owner = patterns.get(reader.reader.as_str()).and_then(|keys| {
                keys.iter().find(|key| key.pattern.text() == topic || key.pattern.matches(topic))
            });
            let owner = owner.map_or(topic, |key| key.pattern.text());
            let status = statuses.entry((owner.to_owned(), reader.reader.clone()));
            let one = SubscriptionStatus::of_one(reader, now);
            status.or_insert_with(|| fresh(owner, &reader.reader)).add(&one);
        }
        Ok(statuses.into_values().collect())
    }
}

fn fresh(topic: &str, name: &str) -> SubscriptionStatus {
    SubscriptionStatus { topic: topic.into(), name: name.into(), ..SubscriptionStatus::default() }
}

fn by_name(remembered: &BTreeMap<Key, Remembered>) -> BTreeMap<&str, Vec<&Key>> {
    let mut names: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in remembered.keys() {
        names.entry(&key.name).or_default().push(key);
    }
    names
}
