//! Proxied HTTP, with a path of its own for HTTP/1.1 between two connections.
//!
//! ```text
//! worker = one thread, one runtime, one listening socket, one pool; nothing shared with the other workers
//!
//! client ─► read head ─► strict parse ─► Handler::begin ─► pick, take or open a connection ─► one write
//!    ▲                                    (route, policy)                                        │
//!    └── one write ◄── canonical head ◄── strict parse ◄── read head ◄──────────────────────── upstream
//! ```
//!
//! No header map, no boxed future and no timer is made for a request; buffers come from a stack that the worker keeps.
//! Bodies stream in both directions at once through one buffer each, so the slower side sets the pace.
//!
//! Where a side speaks HTTP/2, or the handler has something else to answer, the request becomes a value and so does its
//! answer (`order`, `serve`, `http2`, `stream`, `forward`); the handler, the endpoints, the limits and the account of what
//! happened are the same. A WebSocket that both sides agreed on becomes a tunnel.
//!
//! What fails, and what the client then sees: nothing healthy 503; a connection that cannot be opened, breaks or speaks
//! no HTTP 502, after other endpoints were tried while nothing had been sent; too late 504. A kept connection that
//! turns out to be dead is replaced once, if no byte of an answer came and the request may be repeated. A service whose
//! policy says so is asked more than once (`forward`), and always as a value: the fast path knows nothing of that. After
//! the head of the answer is sent there is no status left to give: the client's connection is cut.

mod account;
mod answer;
mod around;
mod attempt;
mod connection;
mod cutoff;
mod deadline;
mod delivery;
mod dial;
mod draft;
mod exchange;
mod feed;
mod fields;
mod forward;
mod grpc;
mod guests;
mod handler;
mod http2;
mod limited;
mod order;
mod paced;
mod patience;
mod plan;
mod pool;
mod relay;
mod reply;
mod serve;
mod stall;
mod stream;
mod streamed;
mod talk;
pub(crate) mod tasks;
mod trail;
mod tunnel;
mod verdict;
mod worker;
mod written;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};

use crate::listen::Wanted;
use crate::{Error, Sockets, Tls};
pub use around::{Around, AttemptCount, Departed, Next, OwnKey, nested};
pub use cutoff::Cutoff;
pub(crate) use deadline::told;
pub use draft::Draft;
pub(crate) use feed::trailers;
pub use fields::{Answered, Changes, Fields, Names};
pub use handler::{Failure, Handler, Incoming, Outcome, Outgoing};
pub use patience::BodyRate;
pub use reply::{Content, Reply};
pub use trail::{Step, Trail};
pub use verdict::{Context, Decision, Forward, Serve, Serving, Verdict};
pub(crate) use worker::Worker;

/// How a proxy treats its connections.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// The setting to name when the address cannot be listened on.
    pub setting: String,
    /// Threads that each do everything; one for each core by default.
    pub workers: usize,
    /// Client connections at one time, over all workers; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of a request's head.
    pub head_max: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// How long a client connection is kept without a request.
    pub idle_timeout: Duration,
    /// How long either side may neither send nor take anything of a body.
    pub stall_timeout: Duration,
    /// How fast a client has to send a body, and to take one; as slowly as it likes without. Calls of gRPC over HTTP/2 and
    /// answers that are events are streams, and may be silent for `stall_timeout`.
    pub body_rate: Option<BodyRate>,
    /// Idle connections kept to each endpoint, by each worker.
    pub kept_max: usize,
    /// How long they are kept.
    pub kept_for: Duration,
    /// TLS towards clients; plain TCP without.
    pub tls: Option<Arc<Tls>>,
    /// The limits of HTTP/2, on both sides.
    pub http2: Http2Limits,
    /// Where the sockets are taken from and kept, if they may be passed on to another process.
    pub sockets: Option<Sockets>,
}

/// What one connection of HTTP/2 may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Requests at one time on a client's connection.
    pub streams_max: u32,
    /// Streams that a client may reset before they were looked at, or that had to be reset because of what it did,
    /// before its connection is closed (CVE-2023-44487, CVE-2025-8671).
    pub resets_max: usize,
    /// A connection on which nothing came for so long is asked for a sign of life.
    pub ping_interval: Duration,
    /// How long it may take to give one.
    pub ping_timeout: Duration,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            streams_max: 100,
            resets_max: 50,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            setting: "listen".into(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            connections_max: 50_000,
            head_max: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(300),
            body_rate: Some(BodyRate::USUAL),
            kept_max: 512,
            kept_for: Duration::from_secs(60),
            tls: None,
            http2: Http2Limits::default(),
            sockets: None,
        }
    }
}

/// Listens, and forwards what its handler decides to forward.
pub struct Proxy<H> {
    sockets: Mutex<Vec<TcpListener>>,
    address: SocketAddr,
    options: Arc<ProxyOptions>,
    handler: Arc<H>,
}

impl<H> std::fmt::Debug for Proxy<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl<H: Handler> Proxy<H> {
    /// Listens on `address`; port 0 chooses one. Connections wait until the proxy runs.
    pub fn bind(address: SocketAddr, options: ProxyOptions, handler: Arc<H>) -> Result<Self, Error> {
        let wanted = Wanted { setting: &options.setting, address, sockets: options.sockets.as_ref() };
        let sockets = wanted.shared(options.workers.max(1))?;
        let bound = sockets.first().map_or(Ok(address), TcpListener::local_addr);
        let setting = options.setting.clone();
        let address = bound.map_err(|source| Error::Listen { address, setting, source })?;
        Ok(Self { sockets: Mutex::new(sockets), address, options: Arc::new(options), handler })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl<H: Handler> Service for Proxy<H> {
    /// Runs once: when it ends, its sockets are closed.
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let sockets =
            std::mem::take(&mut *self.sockets.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        if sockets.is_empty() {
            return Err("a proxy that has stopped does not start again".into());
        }
        // The threads outlive this future if it is dropped, so dropping it has to stop them.
        let hard = stop.hard.child_token();
        let _cut = hard.clone().drop_guard();
        let stop = Stop { soft: stop.soft.clone(), hard };
        let guests = Arc::<guests::Guests>::default();
        let mut threads = Vec::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            let (handler, options) = (self.handler.clone(), self.options.clone());
            let share = worker::Worker::new(index, handler, options, guests.clone());
            threads.push(worker::spawn(Arc::new(share), socket, stop.clone())?);
        }
        ready.ready();
        let mut outcome = Ok(());
        for ended in threads {
            match ended.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = Err(error.into()),
                Err(_) => outcome = Err("a worker thread panicked".into()),
            }
        }
        outcome
    }
}
