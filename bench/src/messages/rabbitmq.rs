//! RabbitMQ: a quorum queue of one node, publisher confirms, `mandatory`; consumers have a prefetch and acknowledge many
//! deliveries with one word.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_harness::{Program, Signal, ports};
use futures::future::BoxFuture;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer as Deliveries,
};

use tokio::time::timeout;

use super::peer::{BATCH, Peer, Place, Sender, Started, Taker, WAIT, Work};
use super::server::{START_MAX, install, whatever_is_there};
use crate::{Failure, process};

/// The queue.
const QUEUE: &str = "bench";
/// Debian's wrapper on the path insists on its own user and folders; this is what it wraps.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Connections that the callers' channels are spread over.
const CONNECTIONS: usize = 4;
/// Deliveries that a consumer may have in hand.
const PREFETCH: u16 = 2 * BATCH as u16;
/// How long a connection may take to end in order.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// AMQP's word for an end without complaint.
const REPLY_SUCCESS: u16 = 200;
/// A message that is written to disk, whatever the queue would do by itself.
const PERSISTENT: u8 = 2;

/// Starts it, with everything that it writes in `folder`.
pub(super) fn start(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder))
}

async fn begin(folder: &Path) -> Result<Started, Failure> {
    install(&["rabbitmq-server"]).await?;
    let port = ports(3);
    let (distribution, names) = (port + 1, port + 2);
    // Erlang would start a name server that outlives it; so it finds one that is ours.
    let mut command = Command::new("epmd");
    command.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
    let epmd = Program::start("epmd", command)?;
    let plugins = folder.join("enabled_plugins");
    std::fs::write(&plugins, "[].\n")?;
    let mut command = Command::new(SERVER);
    command
        .env("HOME", folder)
        // So that the script becomes the server, and does not wait beside it for signals.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", names.to_string())
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        .env("RABBITMQ_NODENAME", format!("bench-{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string());
    let server = Program::start("rabbitmq-server", command)?;
    let hello = server.wait_for_line("Starting RabbitMQ ", START_MAX)?;
    let version = hello.split("RabbitMQ ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let version = version.ok_or_else(|| format!("RabbitMQ does not say its version: {hello}"))?.to_owned();
    server.wait_for_line("Server startup complete", START_MAX)?;
    let address = format!("amqp://127.0.0.1:{port}/%2f");
    Ok(Started::Runs(Box::new(RabbitMq { server, _epmd: epmd, address, version })))
}

struct RabbitMq {
    server: Program,
    _epmd: Program,
    address: String,
    version: String,
}

#[async_trait]
impl Peer for RabbitMq {
    fn promise(&self) -> String {
        format!(
            "RabbitMQ {}, quorum queue of one node, publisher confirms, `mandatory`: synced before the confirm; \
             a channel each on {CONNECTIONS} connections",
            self.version
        )
    }

    async fn open(&self, _: Work) -> Result<Box<dyn Place>, Failure> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        // Fresh ones for each load: an idle connection is ended by the server while others are measured for minutes.
        let control = Connection::connect(&self.address, ConnectionProperties::default()).await?;
        let channel = control.create_channel().await?;
        channel.queue_declare(QUEUE.into(), options, arguments).await?;
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            connections.push(Connection::connect(&self.address, ConnectionProperties::default()).await?);
        }
        Ok(Box::new(Queue { control, connections, next: AtomicUsize::new(0) }))
    }

    fn cpu(&self) -> Duration {
        process::cpu_of_tree(self.server.pid())
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // Erlang's helpers end with a server that ends by itself. One that does not is killed.
        if self.server.signal(Signal::TERM).is_ok() {
            let _ = self.server.wait_exit(START_MAX);
        }
    }
}

struct Queue {
    /// Makes and deletes the queue; nobody sends on it.
    control: Connection,
    connections: Vec<Connection>,
    next: AtomicUsize,
}

impl Queue {
    /// A channel for one caller or consumer, on the connections in turn.
    async fn channel(&self) -> Result<Channel, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        Ok(self.connections[number].create_channel().await?)
    }
}

#[async_trait]
impl Place for Queue {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Box::new(Producer { channel, payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        let channel = self.channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let deliveries =
            channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
        Ok(Box::new(Consumer { channel, deliveries }))
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        for connection in self.connections {
            // The client fails a connection now and then when a consumer of it was dropped amid deliveries, and its end may
            // then never be heard of. It is done with.
            let _ = timeout(CLOSE_MAX, connection.close(REPLY_SUCCESS, "measured".into())).await;
        }
        let channel = self.control.create_channel().await?;
        channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
        self.control.close(REPLY_SUCCESS, "measured".into()).await?;
        Ok(())
    }
}

struct Producer {
    channel: Channel,
    payload: Bytes,
}

#[async_trait]
impl Sender for Producer {
    async fn send(&mut self) -> Result<(), Failure> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let sent = self.channel.basic_publish("".into(), QUEUE.into(), options, &self.payload, properties);
        match sent.await?.await? {
            Confirmation::Ack(None) => Ok(()),
            other => Err(format!("RabbitMQ did not take a message: {other:?}").into()),
        }
    }
}

struct Consumer {
    channel: Channel,
    deliveries: Deliveries,
}

#[async_trait]
impl Taker for Consumer {
    async fn take(&mut self) -> Result<usize, Failure> {
        let deliveries: Vec<Delivery> = whatever_is_there(&mut self.deliveries, BATCH, WAIT).await?;
        if let Some(last) = deliveries.last() {
            self.channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
        Ok(deliveries.len())
    }
}
