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

/// Starts it. The harness gives it a folder of its own, whose user it is, among the temporary ones.
pub(super) fn start(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(async {
        let server = tokio::task::spawn_blocking(|| Postgres::start(&[])).await??;
        let control = connect(&server.url("postgres")).await?;
        let version: String = control.query_one("show server_version", &[]).await?.try_get(0)?;
        let pid = std::fs::read_to_string(server.socket_folder().join("data/postmaster.pid"))?;
        let process = pid.lines().next().unwrap_or("").trim().parse()?;
        let is_elsewhere = server.socket_folder().metadata()?.dev() != folder.metadata()?.dev();
        Ok(Started::Runs(Box::new(Rows { server, process, control, version, is_elsewhere })))
    })
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client, and tells the client what went wrong.
    tokio::spawn(connection);
    Ok(client)
}

struct Rows {
    server: Postgres,
    process: u32,
    control: Client,
    version: String,
    /// Its folder is on another file system than that of the others.
    is_elsewhere: bool,
}

#[async_trait]
impl Peer for Rows {
    fn promise(&self) -> String {
        let version = self.version.split_whitespace().next().unwrap_or("");
        let elsewhere = if self.is_elsewhere { "; on another file system than the others" } else { "" };
        format!(
            "PostgreSQL {version}, `fsync` and `synchronous_commit` on, a row a transaction: synced before the commit \
             returns; a connection each{elsewhere}"
        )
    }

    async fn open(&self, _: Work) -> Result<Box<dyn Place>, Failure> {
        let table = "create table bench (id bigint generated always as identity primary key, body bytea not null, \
                     due timestamptz not null default now())";
        self.control.batch_execute(table).await?;
        let url = self.server.url("postgres");
        Ok(Box::new(Table { url, control: connect(&self.server.url("postgres")).await? }))
    }

    fn cpu(&self) -> Duration {
        process::cpu_of_tree(self.process)
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
