//! PostgreSQL used as most programs do: a row a transaction, each caller with a connection of its own.
//!
//! A queue is a table: consumers lease up to a batch of rows with `FOR UPDATE SKIP LOCKED` in one transaction, so that a
//! consumer that dies holds nobody up for longer than its lease, and delete them in another.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_harness::Postgres;
use futures::future::BoxFuture;
use tokio_postgres::{Client, NoTls, Statement};

use super::peer::{BATCH, Peer, Place, Sender, Started, Taker, WAIT, Work};
use crate::{Failure, process};

/// How long a consumer rests that found nothing. `NOTIFY` would wake it sooner and cost each producer a global lock.
const REST: Duration = Duration::from_millis(2);

/// A server, for rows or for our engine.
pub(super) struct Server {
    pub(super) postgres: Postgres,
    process: u32,
    /// Its version, how it syncs, and where its folder is if it is not where the others' are.
    pub(super) promise: String,
}

impl Server {
    /// Starts it. The harness gives it a folder of its own, whose user it is, among the temporary ones.
    pub(super) async fn start(folder: &Path, settings: &'static [&'static str]) -> Result<Self, Failure> {
        let postgres = tokio::task::spawn_blocking(|| Postgres::start(settings)).await??;
        let control = connect(&postgres.url(DATABASE)).await?;
        let version: String = control.query_one("show server_version", &[]).await?.try_get(0)?;
        let pid = std::fs::read_to_string(postgres.socket_folder().join("data/postmaster.pid"))?;
        let process = pid.lines().next().unwrap_or("").trim().parse()?;
        let version = version.split_whitespace().next().unwrap_or("");
        let mut promise = format!("PostgreSQL {version}, `fsync` and `synchronous_commit` on");
        if postgres.socket_folder().metadata()?.dev() != folder.metadata()?.dev() {
            promise += ", on another file system than the others";
        }
        Ok(Self { postgres, process, promise })
    }

    /// CPU time of all its processes.
    pub(super) fn cpu(&self) -> Duration {
        process::cpu_of_tree(self.process)
    }
}

/// The database that every cluster has.
pub(super) const DATABASE: &str = "postgres";

/// A server for rows.
pub(super) fn start(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(async {
        let server = Server::start(folder, &[]).await?;
        let control = connect(&server.postgres.url(DATABASE)).await?;
        Ok(Started::Runs(Box::new(Rows { server, control })))
    })
}

/// A connection of somebody's own.
pub(super) async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client, and tells the client what went wrong.
    tokio::spawn(connection);
    Ok(client)
}

struct Rows {
    server: Server,
    control: Client,
}

#[async_trait]
impl Peer for Rows {
    fn promise(&self) -> String {
        let promise = &self.server.promise;
        format!("{promise}, a row a transaction: synced before the commit returns; a connection each")
    }

    async fn open(&self, _: Work) -> Result<Box<dyn Place>, Failure> {
        let table = "create table bench (id bigint generated always as identity primary key, body bytea not null, \
                     due timestamptz not null default now())";
        self.control.batch_execute(table).await?;
        let url = self.server.postgres.url(DATABASE);
        let control = connect(&url).await?;
        Ok(Box::new(Table { url, control }))
    }

    fn cpu(&self) -> Duration {
        self.server.cpu()
    }
}

struct Table {
    url: String,
    control: Client,
}

#[async_trait]
impl Place for Table {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        let client = connect(&self.url).await?;
        let insert = client.prepare("insert into bench (body) values ($1)").await?;
        Ok(Box::new(Producer { client, insert, payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        let client = connect(&self.url).await?;
        let lease = format!(
            "update bench set due = now() + interval '30 s' where id in (select id from bench where due <= now() \
             order by id limit {BATCH} for update skip locked) returning id, body"
        );
        let lease = client.prepare(&lease).await?;
        let acknowledge = client.prepare("delete from bench where id = any($1)").await?;
        Ok(Box::new(Consumer { client, lease, acknowledge }))
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.control.batch_execute("drop table bench").await?)
    }
}

struct Producer {
    client: Client,
    insert: Statement,
    payload: Bytes,
}

#[async_trait]
impl Sender for Producer {
    async fn send(&mut self) -> Result<(), Failure> {
        self.client.execute(&self.insert, &[&self.payload.as_ref()]).await?;
        Ok(())
    }
}

struct Consumer {
    client: Client,
    lease: Statement,
    acknowledge: Statement,
}

#[async_trait]
impl Taker for Consumer {
    async fn take(&mut self) -> Result<usize, Failure> {
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let rows = self.client.query(&self.lease, &[]).await?;
            if !rows.is_empty() {
                let mut ids: Vec<i64> = Vec::with_capacity(rows.len());
                for row in &rows {
                    ids.push(row.try_get(0)?);
                }
                let deleted = self.client.execute(&self.acknowledge, &[&ids]).await?;
                return Ok(usize::try_from(deleted)?);
            }
            if tokio::time::Instant::now() > deadline {
                return Ok(0);
            }
            tokio::time::sleep(REST).await;
        }
    }
}
