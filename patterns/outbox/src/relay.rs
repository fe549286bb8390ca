//! Carries what is published on topics of one store to another broker, or another store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Backoff, Ids, Mutex, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::{Error, JournalSubscriber, Publisher, TopicSettings};
use dozen_store::{Start, Store};
use tokio::task::JoinSet;

use crate::lane::Lane;
use crate::status::{Gauge, LaneStatus};

/// Topics that one relay carries, at most.
const TOPICS_MAX: usize = 1_000;
/// The stream that hints at topics that are declared.
pub(crate) const DECLARED: &str = "topics";

/// Which topics a relay carries, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routes {
    /// Every declared topic, to the destination of the same name; also those that are declared later.
    All,
    /// These topics, each to the destination beside it.
    Only(BTreeMap<String, String>),
}

impl Routes {
    /// Pairs of a topic and its destination.
    pub fn only<T: Into<String>, D: Into<String>>(pairs: impl IntoIterator<Item = (T, D)>) -> Self {
        Self::Only(pairs.into_iter().map(|(topic, to)| (topic.into(), to.into())).collect())
    }
}

/// How a relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// Messages that are sent at once.
    pub batch: usize,
    /// How long a batch is leased. When a relay dies, another sends what it had in hand after this long.
    pub lease: Duration,
    /// How long the destination may take to answer before it counts as away.
    pub patience: Duration,
    /// How long a destination that is away is left alone.
    pub backoff: Backoff,
    /// Where a relay begins on a topic that it has not carried before.
    pub start: Start,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            batch: 500,
            lease: Duration::from_secs(30),
            patience: Duration::from_secs(30),
            backoff: Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(30) },
            start: Start::Earliest,
        }
    }
}

/// Carries messages on, at least once and in the order of their keys.
///
/// It is a reader of its topics like any subscription, called `relay/NAME`. Several relays of one name, in one process or
/// many, share the work: what one has in hand is leased to it. A message leaves the backlog when the destination has made
/// it durable. In between a crash can send it a second time, with the same id, for an inbox to drop.
///
/// * While the destination is away, the batch in hand stays there, and is tried again with back-off, jitter and a cap: first
///   with one message, then with all.
/// * A message that the destination will never take becomes a dead letter with its error, and holds what follows it under its
///   key; everything else goes on.
/// * While the store that is read is away, it is asked again with back-off.
pub struct Relay {
    name: String,
    store: Store,
    routes: Routes,
    target: Arc<dyn Publisher>,
    options: RelayOptions,
    ids: Ids,
    lanes: Mutex<BTreeMap<String, (String, Arc<Gauge>)>>,
}

impl Relay {
    /// A relay called `name` from `store` to `target`.
    pub fn new(
        name: impl Into<String>,
        store: &Store,
        routes: Routes,
        target: Arc<dyn Publisher>,
        options: RelayOptions,
        ids: Ids,
    ) -> Self {
        let (name, store) = (name.into(), store.clone());
        Self { name, store, routes, target, options, ids, lanes: Mutex::default() }
    }

    /// The reader that keeps its place on each topic.
    pub fn reader(&self) -> Arc<str> {
        format!("relay/{}", self.name).into()
    }

    /// Each topic that it carries, by name: what is before it, and what it has met.
    pub async fn status(&self) -> Result<Vec<LaneStatus>, Error> {
        // In this order: a lane has its reader before it is there.
        let lanes = self.with_lanes(|lanes| lanes.clone());
        let readers = self.store.journal().readers("topic/").await;
        let readers = readers.map_err(|error| Error::engine("read the state of the relay", error))?;
        let reader = self.reader();
        let status = lanes.into_iter().map(|(topic, (destination, gauge))| {
            let stream = TopicSettings::stream(&topic);
            let before = readers.iter().find(|found| *found.stream == *stream && *found.reader == *reader);
            LaneStatus {
                topic,
                destination,
                backlog: before.map_or(0, |before| before.lag()),
                oldest: before.and_then(|before| before.oldest),
                dead_letters: before.map_or(0, |before| before.parked),
                here: gauge.read(),
            }
        });
        Ok(status.collect())
    }

    fn with_lanes<T>(&self, work: impl FnOnce(&mut BTreeMap<String, (String, Arc<Gauge>)>) -> T) -> T {
        work(&mut self.lanes.lock())
    }

    /// The topics and destinations that there are now.
    async fn routes(&self) -> Result<BTreeMap<String, String>, dozen_store::Error> {
        match &self.routes {
            Routes::Only(pairs) => Ok(pairs.clone()),
            Routes::All => {
                let topics = self.store.table("topic").list("", TOPICS_MAX).await?;
                Ok(topics.into_iter().map(|row| (row.key.clone(), row.key)).collect())
            }
        }
    }

    /// Opens the reader of each topic that has no lane yet, and gives the lanes to run.
    async fn open(&self) -> Result<Vec<Lane>, dozen_store::Error> {
        let mut opened = Vec::new();
        for (topic, destination) in self.routes().await? {
            if self.with_lanes(|lanes| lanes.contains_key(&topic)) {
                continue;
            }
            let (stream, reader) = (TopicSettings::stream(&topic), self.reader());
            self.store.journal().open(&stream, &reader, self.options.start).await?;
            let gauge = Arc::new(Gauge::default());
            self.with_lanes(|lanes| lanes.insert(topic.clone(), (destination.clone(), gauge.clone())));
            opened.push(Lane {
                topic,
                destination,
                source: JournalSubscriber::new(self.store.clone(), stream, reader, self.options.lease),
                target: self.target.clone(),
                options: self.options,
                ids: self.ids.clone(),
                gauge,
            });
        }
        Ok(opened)
    }
}

#[async_trait]
impl Service for Relay {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let mut ready = Some(ready);
        let mut running = JoinSet::new();
        let mut failures = 0;
        let mut declared = self.store.journal().changes(DECLARED);
        while !stop.is_stopping() {
            declared.mark_unchanged();
            let pause = match self.open().await {
                Ok(lanes) => {
                    failures = 0;
                    lanes.into_iter().for_each(|lane| drop(running.spawn(lane.run(stop.clone()))));
                    if let Some(ready) = ready.take() {
                        ready.ready();
                    }
                    None
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(relay = self.name, error = chain(&error), "cannot read the topics");
                    Some(self.options.backoff.delay(failures, self.ids.random()))
                }
            };
            let again = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None if self.routes == Routes::All && declared.changed().await.is_ok() => {}
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = again => {}
                // A lane ends only when it is told to. One that does otherwise has panicked.
                Some(ended) = running.join_next() => ended?,
            }
        }
        while let Some(ended) = running.join_next().await {
            ended?;
        }
        Ok(())
    }
}
