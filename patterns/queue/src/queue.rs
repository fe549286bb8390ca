//! One queue.

use std::sync::Arc;

use dozen_core::{Ids, Timestamp};
use dozen_messaging::{
    Among, Context, Each, Effect, Error, Handler, HandlerFn, JournalSubscriber, Keyring, Once, Part,
    Subscriber, Typed, Worker, WorkerOptions, declare, declared,
};
use dozen_store::{Journal, Start, Store};
use tokio::sync::watch;

use crate::send::Depth;
use crate::{Options, Status, name_of};

/// The one reader that every queue has: its workers, together.
pub const READER: &str = "workers";

/// A queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) name: Arc<str>,
    /// One for each priority, the highest first.
    pub(crate) streams: Arc<[Arc<str>]>,
    pub(crate) reader: Arc<str>,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) options: Arc<Options>,
    pub(crate) keys: Option<Keyring>,
    pub(crate) ids: Ids,
    pub(crate) depth: Arc<Depth>,
}

impl Queue {
    /// Writes down the settings of the queue `name`, for every program that opens it.
    pub async fn declare(store: &Store, name: &str, options: &Options) -> Result<(), Error> {
        Self::check_options(name, options)?;
        declare(store, "queue", name, options).await
    }

    /// Opens the queue `name` with the settings that were declared for it, or the usual ones.
    pub async fn open(store: &Store, name: &str, ids: Ids) -> Result<Self, Error> {
        let options = declared(store, "queue", name).await?.unwrap_or_default();
        Self::open_with(store, name, options, ids).await
    }

    /// Opens the queue `name` with these settings, made if it is new. A queue that exists keeps its messages.
    pub async fn open_with(store: &Store, name: &str, options: Options, ids: Ids) -> Result<Self, Error> {
        if name.is_empty() || name.len() > 200 || name.chars().any(|c| c.is_control() || c == '/') {
            return Err(Error::Invalid(format!(
                "`{name}` cannot name a queue: 1 to 200 characters without `/` and control characters"
            )));
        }
        Self::check_options(name, &options)?;
        let streams = (0..options.priorities).rev().map(|priority| Self::stream_of(name, priority));
        let queue = Self {
            name: name.into(),
            streams: streams.collect(),
            reader: READER.into(),
            store: store.clone(),
            journal: store.journal(),
            options: Arc::new(options),
            keys: None,
            ids,
            depth: Arc::default(),
        };
        for stream in queue.streams.iter() {
            let opened = queue.journal.open(stream, &queue.reader, Start::Earliest).await;
            opened.map_err(|error| queue.failed("open", error))?;
        }
        Ok(queue)
    }

    /// Seals what is sent and opens what is received with these keys, where the queue's settings ask for it.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Keyring>) -> Self {
        self.keys = keys;
        self
    }

    /// The stream that holds the messages of the queue `name`, those of the lowest priority.
    pub fn stream(name: &str) -> Arc<str> {
        Self::stream_of(name, 0)
    }

    /// The stream that holds the messages of one priority.
    pub fn stream_of(name: &str, priority: u8) -> Arc<str> {
        match priority {
            0 => format!("queue/{name}").into(),
            priority => format!("queue/{name}/{priority}").into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How many messages are neither finished nor dead letters.
    pub async fn depth(&self) -> Result<u64, Error> {
        let readers = self.journal.readers(&Self::stream(&self.name)).await;
        let readers = readers.map_err(|error| self.failed("look at", error))?;
        let mine = readers.iter().filter(|status| name_of(&status.stream) == Some(&*self.name));
        Ok(mine.map(|status| status.lag()).sum())
    }

    /// Hands out its messages under leases, those of higher priorities first.
    pub fn subscriber(&self) -> JournalSubscriber {
        let part = |stream: &Arc<str>| Part { stream: stream.clone(), reader: self.reader.clone() };
        let parts: Arc<[Part]> = self.streams.iter().map(part).collect();
        JournalSubscriber::of(self.store.clone(), watch::channel(parts).1, Among::First, self.options.lease)
            .per_key(self.options.per_key)
            .unsealing(self.keys.clone())
    }

    /// A worker that handles up to `running_max` messages at once.
    pub fn worker(&self, handler: Arc<dyn Handler>, running_max: usize) -> Worker {
        self.worker_through(Arc::new(self.subscriber()), handler, running_max)
    }

    /// The same with [`Queue::subscriber`] behind something, [`dozen_messaging::While`] for example.
    pub fn worker_through(
        &self,
        subscriber: Arc<dyn Subscriber>,
        handler: Arc<dyn Handler>,
        running_max: usize,
    ) -> Worker {
        let options = WorkerOptions {
            running_max,
            prefetch: self.options.prefetch,
            per_second: self.options.per_second,
            policy: self.options.policy,
            ..WorkerOptions::default()
        };
        Worker::new(format!("queue {}", self.name), subscriber, handler, options, self.ids.clone())
    }

    /// A worker whose effect commits together with the acknowledgement, and so happens exactly once.
    pub fn consume(&self, effect: impl Effect, running_max: usize) -> Worker {
        self.worker(Arc::new(Once::new(self.subscriber(), effect)), running_max)
    }

    /// A worker that calls `function` with each message as an `M`. What it does through its context's transaction
    /// commits together with the acknowledgement, and so happens exactly once.
    pub fn handle<M, S, F>(&self, state: S, function: F, running_max: usize) -> Worker
    where
        M: Typed,
        S: Send + Sync + 'static,
        F: for<'a> HandlerFn<Context<'a, S>, M> + 'static,
    {
        self.consume(Each::new(state, function), running_max)
    }

    /// What became of the message `id`; `None` when the queue does not know it (any more).
    pub async fn status(&self, id: &str) -> Result<Option<Status>, Error> {
        let sightings = self.journal.find(id).await.map_err(|error| self.failed("look into", error))?;
        let mine = |sighting: &dozen_store::Sighting| name_of(&sighting.stream) == Some(&*self.name);
        Ok(sightings.into_iter().find(mine).map(Status::of))
    }

    /// Lets its workers rest, all of them, or go on. What they hold they finish.
    pub async fn pause(&self, paused: bool) -> Result<(), Error> {
        for stream in self.streams.iter() {
            let done = self.journal.pause(stream, &self.reader, paused).await;
            done.map_err(|error| self.failed(if paused { "pause" } else { "resume" }, error))?;
        }
        Ok(())
    }

    /// Forgets what was finished longer ago than it is kept. Gives how many messages, `limit` of each priority at most.
    pub async fn trim(&self, limit: usize) -> Result<u64, Error> {
        let keep = i64::try_from(self.options.keep.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.store.clock().now().0.saturating_sub(keep));
        let mut gone = 0;
        for stream in self.streams.iter() {
            let trimmed = self.journal.trim(stream, before, None, limit).await;
            gone += trimmed.map_err(|error| self.failed("trim", error))?;
        }
        Ok(gone)
    }

    pub(crate) fn failed(&self, doing: &str, error: dozen_store::Error) -> Error {
        Error::engine(format!("{doing} queue `{}`", self.name), error)
    }
}
