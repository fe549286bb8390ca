//! All queues of a store, as they stand.

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_store::{ReaderStatus, Store};
use serde::Serialize;

use crate::READER;

/// One queue as it stands, its priorities together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Its name.
    pub name: String,
    /// Not handed out yet.
    pub fresh: u64,
    /// In a worker's hands.
    pub working: u64,
    /// Waiting for another attempt, or for their moment.
    pub waiting: u64,
    /// Behind another message of their key.
    pub held: u64,
    /// Dead letters.
    pub dead: u64,
    /// Keys that a dead letter holds up.
    pub parked_keys: u64,
    /// When the oldest message that is not finished was sent; dead letters do not count.
    pub oldest: Option<Timestamp>,
    /// Whether its workers rest.
    pub paused: bool,
}

/// The queue that a stream belongs to, whichever its priority.
pub fn name_of(stream: &str) -> Option<&str> {
    let name = stream.strip_prefix("queue/")?;
    Some(name.split_once('/').map_or(name, |(name, _)| name))
}

impl Overview {
    /// All queues of `store`, by name.
    pub async fn of(store: &Store) -> Result<Vec<Self>, dozen_store::Error> {
        Ok(Self::gather(&store.journal().readers("queue/").await?))
    }

    /// Messages that are neither finished nor dead letters.
    pub fn lag(&self) -> u64 {
        self.fresh + self.working + self.waiting + self.held
    }

    /// Counts `other` in. The name stays.
    pub fn add(&mut self, other: &Self) {
        self.fresh += other.fresh;
        self.working += other.working;
        self.waiting += other.waiting;
        self.held += other.held;
        self.dead += other.dead;
        self.parked_keys += other.parked_keys;
        self.paused |= other.paused;
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
    }

    fn gather(readers: &[ReaderStatus]) -> Vec<Self> {
        let mut queues: BTreeMap<&str, Self> = BTreeMap::new();
        for reader in readers.iter().filter(|reader| reader.reader == READER) {
            let Some(name) = name_of(&reader.stream) else { continue };
            let empty = || Self { name: name.to_owned(), ..Self::default() };
            queues.entry(name).or_insert_with(empty).add(&Self::of_one(reader));
        }
        queues.into_values().collect()
    }

    /// One priority of a queue, without its name.
    fn of_one(reader: &ReaderStatus) -> Self {
        Self {
            name: String::new(),
            fresh: reader.fresh,
            working: reader.leased,
            waiting: reader.waiting,
            held: reader.held,
            dead: reader.parked,
            parked_keys: reader.parked_keys,
            oldest: reader.oldest,
            paused: reader.paused,
        }
    }
}
