//! NATS JetStream: a stream in files; for [`Work::Cycle`] one with the policy of a work queue, and a durable pull consumer
//! whose messages are acknowledged one by one, as it has no other way.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, Message, new};
use async_trait::async_trait;
use bytes::Bytes;
use dozen_harness::{Program, free_port, wait_until_listening};
use futures::future::BoxFuture;

use super::peer::{BATCH, Peer, Place, Sender, Started, Taker, WAIT, Work};
use super::server::{START_MAX, install, is_at_least, version, whatever_is_there};
use crate::{Failure, process};

/// The stream, its subject and its consumer.
const NAME: &str = "bench";

/// As it comes: the file is written before the acknowledgement and synced every two minutes. A connection for each caller.
pub(super) fn start(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder, false, false))
}

/// The same, with one connection that all callers share.
pub(super) fn start_shared(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder, false, true))
}

/// Synced before the acknowledgement, which servers can since 2.10, and one connection that all callers share.
pub(super) fn start_sync(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder, true, true))
}

async fn begin(folder: &Path, is_synced: bool, is_shared: bool) -> Result<Started, Failure> {
    install(&["nats-server"]).await?;
    let version = version("nats-server", ": v")?;
    if is_synced && !is_at_least(&version, 2, 10) {
        let why = format!(
            "nats-server {version} has no `sync_interval: always`, which came with 2.10: a newer `nats-server` on the \
             path would be measured"
        );
        return Ok(Started::Skipped(why));
    }
    let (port, sync) = (free_port(), if is_synced { "sync_interval: always" } else { "" });
    let config = format!(
        "listen: 127.0.0.1:{port}\njetstream {{\n  store_dir: \"{}\"\n  {sync}\n}}\n",
        folder.display()
    );
    let file = folder.join("nats.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(&file);
    let server = Program::start("nats-server", command)?;
    wait_until_listening(port, START_MAX)?;
    let address = format!("127.0.0.1:{port}");
    let context = new(async_nats::connect(&address).await?);
    Ok(Started::Runs(Box::new(JetStream { server, address, context, version, is_synced, is_shared })))
}

struct JetStream {
    server: Program,
    address: String,
    context: Context,
    version: String,
    is_synced: bool,
    is_shared: bool,
}

#[async_trait]
impl Peer for JetStream {
    fn promise(&self) -> String {
        let promise = if self.is_synced {
            "`sync_interval: always`: synced before the acknowledgement"
        } else {
            "default `sync_interval` of 2 minutes: written to the file before the acknowledgement, synced later"
        };
        let connections = if self.is_shared { "one connection for all callers" } else { "a connection each" };
        format!("NATS JetStream {}, {promise}; {connections}", self.version)
    }

    async fn open(&self, work: Work) -> Result<Box<dyn Place>, Failure> {
        let retention = match work {
            Work::Append => RetentionPolicy::Limits,
            Work::Cycle => RetentionPolicy::WorkQueue,
        };
        let config = Config {
            name: NAME.into(),
            subjects: vec![NAME.into()],
            retention,
            storage: StorageType::File,
            ..Config::default()
        };
        self.context.create_stream(config).await?;
        let address = (!self.is_shared).then(|| self.address.clone());
        Ok(Box::new(Stream { context: self.context.clone(), address }))
    }

    fn cpu(&self) -> Duration {
        process::cpu_of_tree(self.server.pid())
    }
}

struct Stream {
    context: Context,
    /// Where each caller connects by itself, unless they share.
    address: Option<String>,
}

#[async_trait]
impl Place for Stream {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        let context = match &self.address {
            Some(address) => new(async_nats::connect(address).await?),
            None => self.context.clone(),
        };
        Ok(Box::new(Producer { context, payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        let config = pull::Config {
            durable_name: Some(NAME.into()),
            ack_policy: AckPolicy::Explicit,
            // Beyond what both consumers ask for, so that it never holds them up.
            max_ack_pending: 16 * BATCH as i64,
            ..pull::Config::default()
        };
        let consumer = self.context.get_stream(NAME).await?.get_or_create_consumer(NAME, config).await?;
        let messages = consumer.stream().max_messages_per_batch(2 * BATCH).messages().await?;
        Ok(Box::new(Consumer(messages)))
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        self.context.delete_stream(NAME).await?;
        Ok(())
    }
}

struct Producer {
    context: Context,
    payload: Bytes,
}

#[async_trait]
impl Sender for Producer {
    async fn send(&mut self) -> Result<(), Failure> {
        self.context.publish(NAME, self.payload.clone()).await?.await?;
        Ok(())
    }
}

struct Consumer(pull::Stream);

#[async_trait]
impl Taker for Consumer {
    async fn take(&mut self) -> Result<usize, Failure> {
        let messages: Vec<Message> = whatever_is_there(&mut self.0, BATCH, WAIT).await?;
        for message in &messages {
            message.ack().await?;
        }
        Ok(messages.len())
    }
}
