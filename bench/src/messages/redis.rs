//! Redis Streams: `XADD`; a group of consumers with `XREADGROUP`, and `XACK` with `XDEL` for each batch.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::peer::{BATCH, Peer, Place, Sender, Started, Taker, WAIT, Work};
use super::server::{install, version};
use crate::Failure;
use crate::redis::{Connection, Direct, Redis, ids};

/// The stream, and its group of consumers.
const STREAM: &[u8] = b"bench";
const GROUP: &[u8] = b"g";

/// A connection for each caller, as separate programs have.
pub(super) fn start(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder, false))
}

/// One connection that all callers share: what they say at one moment is one system call.
pub(super) fn start_shared(folder: &Path) -> BoxFuture<'_, Result<Started, Failure>> {
    Box::pin(begin(folder, true))
}

async fn begin(folder: &Path, is_shared: bool) -> Result<Started, Failure> {
    install(&["redis-server"]).await?;
    let version = version("redis-server", "v=")?;
    let server = Redis::start(folder)?;
    let control = Connection::open(server.address).await?;
    Ok(Started::Runs(Box::new(Streams { server, control, version, is_shared })))
}

struct Streams {
    server: Redis,
    control: Connection,
    version: String,
    is_shared: bool,
}

#[async_trait]
impl Peer for Streams {
    fn promise(&self) -> String {
        let connections = if self.is_shared { "one connection for all callers" } else { "a connection each" };
        format!("Redis {}, `appendfsync always`: synced before the reply; {connections}", self.version)
    }

    async fn open(&self, work: Work) -> Result<Box<dyn Place>, Failure> {
        if work == Work::Cycle {
            self.control.call(&[b"XGROUP", b"CREATE", STREAM, GROUP, b"$", b"MKSTREAM"]).await;
        }
        let shared = if self.is_shared { Some(Connection::open(self.server.address).await?) } else { None };
        let (address, control) = (self.server.address, self.control.clone());
        Ok(Box::new(Stream { address, control, shared, consumers: AtomicU64::new(0) }))
    }

    fn cpu(&self) -> Duration {
        self.server.cpu()
    }
}

struct Stream {
    address: SocketAddr,
    control: Connection,
    shared: Option<Connection>,
    /// Those so far; each has a name of its own.
    consumers: AtomicU64,
}

#[async_trait]
impl Place for Stream {
    async fn sender(&self, payload: Bytes) -> Result<Box<dyn Sender>, Failure> {
        let way = match &self.shared {
            Some(connection) => Way::Shared(connection.clone()),
            None => Way::Own(Direct::open(self.address).await?),
        };
        Ok(Box::new(Producer { way, payload }))
    }

    async fn taker(&self) -> Result<Box<dyn Taker>, Failure> {
        let connection = Connection::open(self.address).await?;
        let name = self.consumers.fetch_add(1, Ordering::Relaxed).to_string();
        Ok(Box::new(Consumer { connection, name }))
    }

    async fn close(self: Box<Self>) -> Result<(), Failure> {
        self.control.call(&[b"DEL", STREAM]).await;
        Ok(())
    }
}

enum Way {
    Own(Direct),
    Shared(Connection),
}

struct Producer {
    way: Way,
    payload: Bytes,
}

#[async_trait]
impl Sender for Producer {
    async fn send(&mut self) -> Result<(), Failure> {
        let words: &[&[u8]] = &[b"XADD", STREAM, b"*", b"d", &self.payload];
        match &mut self.way {
            Way::Own(connection) => drop(connection.call(words).await),
            Way::Shared(connection) => drop(connection.call(words).await),
        }
        Ok(())
    }
}

struct Consumer {
    connection: Connection,
    name: String,
}

#[async_trait]
impl Taker for Consumer {
    async fn take(&mut self) -> Result<usize, Failure> {
        let (batch, wait) = (BATCH.to_string(), WAIT.as_millis().to_string());
        let mut read: Vec<&[u8]> = vec![b"XREADGROUP", b"GROUP", GROUP, self.name.as_bytes()];
        read.extend([b"COUNT", batch.as_bytes(), b"BLOCK", wait.as_bytes(), b"STREAMS", STREAM, b">"]);
        let ids = ids(&self.connection.call(&read).await);
        if ids.is_empty() {
            return Ok(0);
        }
        let mut acknowledge: Vec<&[u8]> = vec![b"XACK", STREAM, GROUP];
        acknowledge.extend(ids.iter().map(String::as_bytes));
        let mut forget: Vec<&[u8]> = vec![b"XDEL", STREAM];
        forget.extend(ids.iter().map(String::as_bytes));
        tokio::join!(self.connection.call(&acknowledge), self.connection.call(&forget));
        Ok(ids.len())
    }
}
