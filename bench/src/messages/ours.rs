//! We: a store in this process, its journal for [`Work::Append`] and a queue on it for [`Work::Cycle`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{JournalSubscriber, Settlement, Subscriber};
use dozen_queue::{Options, Queue};
use dozen_store::{Journal, Store};
use futures::future::BoxFuture;

use super::peer::{BATCH, Peer, Place, Sender, Started, Taker, WAIT, Work};
use super::postgres::{DATABASE, Server};
use crate::Failure;

/// SQLite, each commit synced before it is acknowledged.
pub(super) fn sqlite(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    let promise = "SQLite in the caller's process, `durability=full`: synced before the acknowledgement";
    on_sqlite(format!("sqlite:{}/{{n}}.db", folder.display()), promise)
}

/// SQLite, synced at checkpoints: a crash of the machine may cost the last commits.
pub(super) fn sqlite_normal(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    let promise = "SQLite in the caller's process, `durability=normal`: written to the file before the acknowledgement, \
         synced at checkpoints";
    on_sqlite(format!("sqlite:{}/{{n}}.db?durability=normal", folder.display()), promise)
}

fn on_sqlite(address: String, promise: &str) -> BoxFuture<'static, Result<Started, Failure>> {
    let ours = Ours::new(address, promise.to_owned(), None);
    Box::pin(async move { Ok(Started::Runs(Box::new(ours))) })
}

/// PostgreSQL through our engine.
pub(super) fn postgres(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(async {
        let server = Server::start(folder, &[]).await?;
        let promise = format!("{}, our engine: synced before the acknowledgement", server.promise);
        Ok(Started::Runs(Box::new(Ours::new(address_on(&server), promise, Some(server)))))
    })
}

/// The address of stores on a server: a schema each.
pub(super) fn address_on(server: &Server) -> String {
    format!("{}?schema=s{{n}}", server.postgres.url(DATABASE))
}

/// We, on one engine.
pub(super) struct Ours {
    /// In which `{n}` makes one store differ from the next.
    address: String,
    promise: String,
    /// What the stores are on, where that is not in this process.
    server: Option<Server>,
    opened: AtomicU64,
    ids: Ids,
}

impl Ours {
    pub(super) fn new(address: String, promise: String, server: Option<Server>) -> Self {
        let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
        Self { address, promise, server, opened: AtomicU64::new(0), ids }
    }
}

#[async_trait]
impl Peer for Ours {
    fn promise(&self) -> String {
        self.promise.clone()
    }

    async fn open(&self, work: Work) -> Result<Box<dyn Place>, Failure> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed).to_string();
        let store = dozen_open::open(&self.address.replace("{n}", &number)).await?;
        Ok(match work {
            Work::Append => Box::new(Stream { store, ids: self.ids.clone() }),
            Work::Cycle => {
                let queue = Queue::open_with(&store, "bench", Options::default(), self.ids.clone()).await?;
                Box::new(Backlog { queue, ids: self.ids.clone() })
            }
        })
    }

    fn cpu(&self) -> Duration {
        self.server.as_ref().map_or(Duration::ZERO, Server::cpu)
    }
}

fn message(ids: &Ids, payload: &Bytes) -> Message {
    let mut message = Message::new(ids.next().to_string(), "/bench", "bench");
    message.time = Some(ids.clock().now());
    message.with_data(Some("application/octet-stream"), payload.to_vec())
}

struct Stream {
    store: Store,
    ids: Ids,
}

#[async_trait]
impl Place for Stream {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        let (journal, ids) = (self.store.journal(), self.ids.clone());
        Ok(Box::new(Appender { journal, stream: "topic/bench".into(), ids, payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        Err("nobody takes from a log that is only appended to".into())
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Appender {
    journal: Journal,
    stream: Arc<str>,
    ids: Ids,
    payload: Bytes,
}

#[async_trait]
impl Sender for Appender {
    async fn send(&mut self) -> Result<(), Failure> {
        self.journal.append(&self.stream, vec![message(&self.ids, &self.payload)]).await?;
        Ok(())
    }
}

struct Backlog {
    queue: Queue,
    ids: Ids,
}

#[async_trait]
impl Place for Backlog {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        Ok(Box::new(Producer { queue: self.queue.clone(), ids: self.ids.clone(), payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        Ok(Box::new(Consumer(self.queue.subscriber())))
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Producer {
    queue: Queue,
    ids: Ids,
    payload: Bytes,
}

#[async_trait]
impl Sender for Producer {
    async fn send(&mut self) -> Result<(), Failure> {
        self.queue.send(message(&self.ids, &self.payload)).await?;
        Ok(())
    }
}

struct Consumer(JournalSubscriber);

#[async_trait]
impl Taker for Consumer {
    async fn take(&mut self) -> Result<usize, Failure> {
        let deliveries = self.0.receive(BATCH, WAIT).await?;
        if deliveries.is_empty() {
            return Ok(0);
        }
        let ends = deliveries.iter().map(|delivery| (delivery.lease, Settlement::Done)).collect();
        Ok(self.0.settle(ends).await?.into_iter().filter(|settled| *settled).count())
    }
}
