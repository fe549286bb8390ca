//! The engine.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_store::{Answer, Capabilities, Changes, Committed, Engine, EngineTx, Error, Op, Query};
use tokio::sync::{mpsc, oneshot};

use crate::group::{self, GROUP_MAX, Job};
use crate::link::{Lane, Link};
use crate::options::Options;
use crate::shared::Shared;
use crate::tx::PostgresTx;
use crate::{look, read, schema, single, tell, upkeep};

/// How long the opening of a store waits for the connection that listens.
const READY_MAX: Duration = Duration::from_secs(10);

/// A PostgreSQL database as a store's engine. Dropped, it closes its connections.
pub struct Postgres {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

impl Postgres {
    /// Opens the store in this database, made if it is not there, and brings it to the tables of this binary.
    pub async fn open(options: Options) -> Result<Arc<Self>, Error> {
        let link = Link::open(options).await?;
        let identity = schema::open(&link).await?;
        let shared = Shared::new(link.clone(), identity);
        let (jobs, inbox) = mpsc::channel(4 * GROUP_MAX);
        let (ready, is_ready) = oneshot::channel();
        // A number that no other process has, from the operating system by way of the standard library.
        let us = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let us = format!("{us:016x}");
        let tasks = &link.tasks;
        tasks.spawn(group::run(shared.clone(), inbox, Lane::new(link.clone())));
        let until_closed = |work: futures::future::BoxFuture<'static, ()>| {
            let closed = link.closed.clone();
            async move {
                tokio::select! { () = closed.cancelled() => {}, () = work => {} }
            }
        };
        tasks.spawn(until_closed(Box::pin(tell::run(shared.clone(), us.clone(), Lane::new(link.clone())))));
        tasks.spawn(until_closed(Box::pin(look::run(shared.clone(), us, ready))));
        tasks.spawn(until_closed(Box::pin(upkeep::run(shared.clone()))));
        let engine = Arc::new(Self { shared, jobs });
        // From here on no commit of others goes unheard.
        match tokio::time::timeout(READY_MAX, is_ready).await {
            Ok(Ok(())) => Ok(engine),
            _ => Err(Error::Busy { location: engine.shared.location().to_owned(), waited: READY_MAX }),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.shared.link.closed.cancel();
    }
}

#[async_trait]
impl Engine for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities { engine: "postgres", durable: true, shared: true, sql: true }
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        if !group::is_shareable(&ops) {
            return single::run(&self.shared, &ops).await;
        }
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { ops, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error> {
        self.shared.pool.settled().await;
        let loan = self.shared.pool.lend().await?;
        Ok(Box::new(PostgresTx::new(self.shared.clone(), loan)))
    }

    async fn query(&self, query: Query) -> Result<Answer, Error> {
        read::answer(&self.shared, &query).await
    }

    fn changes(&self, stream: &str) -> Changes {
        self.shared.hints.watch(stream)
    }
}
