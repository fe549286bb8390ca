//! An HTTP client for the calls that a runtime makes itself: deliveries, probes, invocations.
//!
//! Cheap to clone; the clones share a pool of connections on the runtime that they are used on. The strict framing
//! reads what comes back. The response's body is read from the connection as the caller takes it, so a slow caller
//! slows the sender and nothing piles up here; the connection returns to the pool when the body has ended. Over a
//! transport of HTTP/2 the connections of the pool are shared instead.

mod answer;
mod outgoing;
mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::address::Address;
use crate::buffer::Buffer;
use crate::stream::Stream;
use crate::streams::Claim;
use crate::tls::connect;
use crate::{Body, Error, Protocol, Transport};

pub(crate) use answer::exchange;
pub(crate) use outgoing::Outgoing;
use shared::Shared;

/// Idle connections kept for each address.
const IDLE_MAX: usize = 32;
/// How long an idle connection is kept. Shorter than what usual servers keep theirs.
const IDLE: Duration = Duration::from_secs(4);

/// Sends requests.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pool: Arc<Pool>,
    transport: Option<Arc<Transport>>,
}

impl Client {
    /// A client with an empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same client, with the same pool, over `transport`; without one, in plain HTTP/1.1. Connections of one transport
    /// serve no other.
    #[must_use]
    pub fn over(&self, transport: Option<Arc<Transport>>) -> Self {
        Self { pool: self.pool.clone(), transport }
    }

    /// Sends `request` to `address` (`host:port`) and waits for the head of the response.
    ///
    /// `deadline` bounds the time until that head, and after it each wait for more of the body. A request whose method
    /// may be repeated, and whose body is at hand, is sent again once if a kept connection turns out to be dead. Any
    /// other request is sent at most once, and fails in the rare case that the other end closes a kept connection at the
    /// very moment of the sending. Dropping the future, or the response's body, closes the connection.
    pub async fn send(
        &self,
        address: &str,
        request: http::Request<Body>,
        deadline: Duration,
    ) -> Result<http::Response<Body>, Error> {
        self.ask(&Address::from(address), request, deadline).await
    }

    /// The same, of somebody who may have been looked up before.
    pub(crate) async fn ask(
        &self,
        address: &Address,
        request: http::Request<Body>,
        deadline: Duration,
    ) -> Result<http::Response<Body>, Error> {
        let until = Instant::now() + deadline;
        let sent = async { self.reach(address).await?.send(request, deadline).await };
        timeout_at(until, sent).await.map_err(|_| Error::TimedOut { address: address.to_string() })?
    }

    /// A connection to `address`, kept or new. Nothing has been sent on it.
    pub(crate) async fn reach(&self, address: &Address) -> Result<Reached, Error> {
        let key: Key = (self.transport.as_ref().map_or(0, |transport| transport.id), address.clone());
        let link = match self.shares() {
            Some(transport) => Link::Shared(self.pool.shared.stream(&key, transport).await?),
            None => match self.pool.take(&key) {
                Some(kept) => Link::Kept(kept),
                None => Link::Fresh(self.open(address).await?),
            },
        };
        Ok(Reached { client: self.clone(), key, link })
    }

    /// The transport, if requests share connections over it.
    fn shares(&self) -> Option<&Transport> {
        self.transport.as_deref().filter(|transport| transport.protocol() == Protocol::Http2)
    }

    async fn open(&self, address: &Address) -> Result<Connection, Error> {
        let opened = connect(address, self.transport.as_deref()).await;
        opened.map(Connection::new).map_err(|source| Error::Connect { address: address.to_string(), source })
    }
}

/// A connection for one request.
pub(crate) struct Reached {
    client: Client,
    key: Key,
    link: Link,
}

enum Link {
    /// It lay idle, and may be dead.
    Kept(Connection),
    Fresh(Connection),
    Shared(Claim),
}

impl Reached {
    /// Sends `request`, and waits for the head of its answer. Each wait for more of the body takes `stall` at most.
    pub(crate) async fn send(
        self,
        request: http::Request<Body>,
        stall: Duration,
    ) -> Result<http::Response<Body>, Error> {
        let Self { client, key, link } = self;
        let (address, pool) = (key.1.clone(), &client.pool);
        let (connection, is_kept) = match (link, client.shares()) {
            (Link::Shared(claim), Some(transport)) => {
                return pool.shared.send(key, claim, request, transport, stall).await;
            }
            (Link::Shared(_), None) => {
                return Err(Error::Request { why: "its connection is of another kind" });
            }
            (Link::Kept(connection), _) => (connection, true),
            (Link::Fresh(connection), _) => (connection, false),
        };
        let name = address.name.clone();
        let outgoing = Outgoing::new(&name, request)?;
        let again = if is_kept { outgoing.again() } else { None };
        let answered = exchange(connection, outgoing, &name, stall, pool.keeper(key.clone())).await;
        match (answered, again) {
            (Err(answer::Failure { error: Error::Broken { .. }, untouched: true }), Some(again)) => {
                let fresh = client.open(&address).await?;
                let answered = exchange(fresh, again, &name, stall, pool.keeper(key)).await;
                answered.map_err(|failure| failure.error)
            }
            (answered, _) => answered.map_err(|failure| failure.error),
        }
    }
}

/// A connection between two exchanges, or in one.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    buffer: Buffer,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, buffer: Buffer::new() }
    }

    /// Whether nothing has happened on it while it lay idle. Anything that has is an end, or a reason to end it.
    fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty() && self.stream.is_quiet()
    }
}

/// Takes back a connection that can be used again.
pub(crate) type Keeper = Box<dyn FnOnce(Connection) + Send>;

/// A transport by its number, 0 without one, and an address.
type Key = (u64, Address);

#[derive(Debug, Default)]
struct Pool {
    idle: Mutex<HashMap<Key, Vec<(Instant, Connection)>>>,
    shared: Arc<Shared>,
}

impl Pool {
    fn keeper(self: &Arc<Self>, key: Key) -> Keeper {
        let pool = self.clone();
        Box::new(move |connection| pool.put(key, connection))
    }

    fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let kept = idle.get_mut(key)?;
        while let Some((since, mut connection)) = kept.pop() {
            if since.elapsed() < IDLE && connection.is_quiet() {
                return Some(connection);
            }
        }
        idle.remove(key);
        None
    }

    fn put(&self, key: Key, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Each return also sweeps, so that addresses that are never called again do not keep their connections.
        for kept in idle.values_mut() {
            kept.retain(|(since, _)| since.elapsed() < IDLE);
        }
        idle.retain(|_, kept| !kept.is_empty());
        let kept = idle.entry(key).or_default();
        if kept.len() < IDLE_MAX {
            kept.push((Instant::now(), connection));
        }
    }
}
