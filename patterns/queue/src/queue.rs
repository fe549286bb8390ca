//! One queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Ids, Message, Timestamp, Token};
use dozen_messaging::{
    Effect, Error, Handler, JournalSubscriber, Once, Publisher, Subscriber, Worker, WorkerOptions, declare,
    declared,
};
use dozen_store::{Append, ClaimState, Journal, Op, Record, Revision, Start, Store, Tx};

use crate::{DeadLetter, Options, Status};

/// The one reader that every queue has: its workers, together.
pub const READER: &str = "workers";

/// How often a limit on waiting messages is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    name: Arc<str>,
    stream: Arc<str>,
    reader: Arc<str>,
    store: Store,
    journal: Journal,
    options: Arc<Options>,
    ids: Ids,
    depth: Arc<Depth>,
}

/// What is known of the number of waiting messages.
#[derive(Default)]
struct Depth {
    waiting: AtomicU64,
    looked: AtomicI64,
}

impl Queue {
    /// Writes down the settings of the queue `name`, for every program that opens it.
    pub async fn declare(store: &Store, name: &str, options: &Options) -> Result<(), Error> {
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
        let queue = Self {
            name: name.into(),
            stream: Self::stream(name),
            reader: READER.into(),
            store: store.clone(),
            journal: store.journal(),
            options: Arc::new(options),
            ids,
            depth: Arc::default(),
        };
        let opened = queue.journal.open(&queue.stream, &queue.reader, Start::Earliest).await;
        opened.map_err(|error| queue.failed("open", error))?;
        Ok(queue)
    }

    /// The stream that holds the messages of the queue `name`.
    pub fn stream(name: &str) -> Arc<str> {
        format!("queue/{name}").into()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A JSON message for this queue.
    pub fn message(&self, kind: &str, data: impl Into<Vec<u8>>) -> Message {
        let mut message = Message::new(self.ids.next().to_string(), format!("/queue/{}", self.name), kind);
        message.time = Some(self.store.clock().now());
        message.with_data(Some("application/json"), data.into())
    }

    /// Sends a message; it is durable when this returns.
    pub async fn send(&self, message: Message) -> Result<Token, Error> {
        self.send_all(vec![message], None).await
    }

    /// Sends messages, all or none; nobody is handed them before `due`.
    pub async fn send_all(&self, messages: Vec<Message>, due: Option<Timestamp>) -> Result<Token, Error> {
        for message in &messages {
            self.check(message)?;
        }
        self.check_room().await?;
        let appended = self.journal.append_due(&self.stream, messages, due).await;
        appended.map_err(|error| self.failed("send to", error))
    }

    /// Sends a message with the caller's transaction: it is there if and only if that commits.
    pub fn send_in(&self, tx: &mut Tx, message: Message) -> Result<(), Error> {
        self.check(&message)?;
        let at = self.store.clock().now();
        let records = vec![Record::from(message)];
        tx.defer(Op::Append(Append { stream: self.stream.clone(), records, at, due: None }));
        Ok(())
    }

    fn check(&self, message: &Message) -> Result<(), Error> {
        let bytes = message.data.len() as u64;
        if bytes > self.options.bytes_max {
            return Err(Error::TooLarge {
                name: self.name.to_string(),
                bytes,
                bytes_max: self.options.bytes_max,
            });
        }
        Ok(())
    }

    async fn check_room(&self) -> Result<(), Error> {
        let Some(waiting_max) = self.options.waiting_max else { return Ok(()) };
        let now = self.store.clock().now();
        let looked = self.depth.looked.load(Ordering::Relaxed);
        if now.since(Timestamp(looked)) >= LOOK || now.0 < looked {
            self.depth.looked.store(now.0, Ordering::Relaxed);
            let status = self.depth().await?;
            self.depth.waiting.store(status, Ordering::Relaxed);
        }
        if self.depth.waiting.load(Ordering::Relaxed) >= waiting_max.get() {
            return Err(Error::Full { name: self.name.to_string(), waiting_max: waiting_max.get() });
        }
        Ok(())
    }

    /// How many messages are neither finished nor dead letters.
    pub async fn depth(&self) -> Result<u64, Error> {
        let readers =
            self.journal.readers(&self.stream).await.map_err(|error| self.failed("look at", error))?;
        Ok(readers.iter().filter(|status| *status.stream == *self.stream).map(|status| status.lag()).sum())
    }

    /// Hands out its messages under leases.
    pub fn subscriber(&self) -> JournalSubscriber {
        let lease = self.options.lease;
        JournalSubscriber::new(self.store.clone(), self.stream.clone(), self.reader.clone(), lease)
    }

    /// A worker that handles up to `running_max` messages at once.
    pub fn worker(&self, handler: Arc<dyn Handler>, running_max: usize) -> Worker {
        let subscriber: Arc<dyn Subscriber> = Arc::new(self.subscriber());
        let options = WorkerOptions { running_max, policy: self.options.policy, ..WorkerOptions::default() };
        Worker::new(format!("queue {}", self.name), subscriber, handler, options, self.ids.clone())
    }

    /// A worker whose effect commits together with the acknowledgement, and so happens exactly once.
    pub fn consume(&self, effect: impl Effect, running_max: usize) -> Worker {
        self.worker(Arc::new(Once::new(self.subscriber(), effect)), running_max)
    }

    /// What became of the message `id`; `None` when the queue does not know it (any more).
    pub async fn status(&self, id: &str) -> Result<Option<Status>, Error> {
        let sightings = self.journal.find(id).await.map_err(|error| self.failed("look into", error))?;
        Ok(sightings.into_iter().find(|sighting| *sighting.stream == *self.stream).map(Status::of))
    }

    /// Its dead letters, oldest first.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let claims = self.journal.claims(&self.stream, &self.reader, ClaimState::Parked, 0, limit).await;
        let claims = claims.map_err(|error| self.failed("look into", error))?;
        Ok(claims.into_iter().filter_map(DeadLetter::of).collect())
    }

    /// Hands dead letters out again: those at `positions`, or the oldest `limit` when there are none. Gives how many.
    pub async fn redrive(&self, positions: Vec<u64>, limit: usize) -> Result<u64, Error> {
        self.revise(positions, limit, Revision::Redrive).await
    }

    /// Forgets dead letters, chosen as for [`Queue::redrive`]; what they held back goes on. Gives how many.
    pub async fn discard(&self, positions: Vec<u64>, limit: usize) -> Result<u64, Error> {
        self.revise(positions, limit, Revision::Discard).await
    }

    async fn revise(&self, positions: Vec<u64>, limit: usize, revision: Revision) -> Result<u64, Error> {
        let revised = self.journal.revise(&self.stream, &self.reader, positions, limit, revision).await;
        revised.map_err(|error| self.failed("revise dead letters of", error))
    }

    /// Forgets what was finished longer ago than it is kept. Gives how many messages, `limit` at most.
    pub async fn trim(&self, limit: usize) -> Result<u64, Error> {
        let keep = i64::try_from(self.options.keep.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.store.clock().now().0.saturating_sub(keep));
        self.journal.trim(&self.stream, before, None, limit).await.map_err(|error| self.failed("trim", error))
    }

    fn failed(&self, doing: &str, error: dozen_store::Error) -> Error {
        Error::engine(format!("{doing} queue `{}`", self.name), error)
    }
}

#[async_trait]
impl Publisher for Queue {
    async fn publish(&self, destination: &str, messages: Vec<Message>) -> Result<Token, Error> {
        if destination != &*self.name {
            let known = vec![self.name.to_string()];
            return Err(Error::Unknown { kind: "queue", name: destination.into(), known });
        }
        self.send_all(messages, None).await
    }
}
