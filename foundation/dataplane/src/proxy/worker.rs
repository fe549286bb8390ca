//! One thread that accepts, reads, forwards and answers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dozen_lifecycle::Stop;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::fields::Edits;
use super::guests::Guests;
use super::pool::{Key, Pool};
use super::tasks::Tasks;
use super::{Fields, Handler, ProxyOptions, connection};
use crate::Sockets;
use crate::buffer::Buffer;
use crate::listen::pause_after;
use crate::pipe::Pipes;
use crate::streams::Streams;
use crate::ticker::Ticker;

/// Sets of buffers that a worker keeps for the next request.
const SCRATCH_KEPT: usize = 256;

/// The buffers of one request. A connection without a request has none.
pub(super) struct Scratch {
    /// What the client sent and nobody has used yet.
    pub(super) client: Buffer,
    /// What the endpoint sent and nobody has used yet.
    pub(super) upstream: Buffer,
    /// The request as it is sent on, kept until its answer begins, in case it has to be sent again.
    pub(super) request: Vec<u8>,
    /// The answer on its way to the client.
    pub(super) answer: Vec<u8>,
    /// Canonical path and query.
    pub(super) target: String,
    /// Headers that the handler adds.
    pub(super) edits: Edits,
}

impl Scratch {
    fn new() -> Box<Self> {
        Box::new(Self {
            client: Buffer::new(),
            upstream: Buffer::new(),
            request: Vec::with_capacity(1024),
            answer: Vec::with_capacity(4096),
            target: String::with_capacity(256),
            edits: Edits { added: Fields(Vec::with_capacity(256)), ..Edits::default() },
        })
    }
}

/// What all connections of one thread share.
pub(crate) struct Worker<H> {
    pub(super) index: usize,
    pub(super) handler: Arc<H>,
    pub(super) options: Arc<ProxyOptions>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) pool: Pool,
    pub(super) pipes: Pipes,
    /// Connections of HTTP/2 to endpoints, and the tasks that work them.
    pub(super) streams: Streams<Key>,
    pub(super) tasks: Arc<Tasks>,
    /// Shared with the other workers.
    guests: Arc<Guests>,
    draining: AtomicBool,
    /// Whether what is in flight is being dropped.
    cut: AtomicBool,
    #[expect(clippy::vec_box, reason = "a scratch moves from connection to connection; its box does not")]
    scratch: Mutex<Vec<Box<Scratch>>>,
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(
        index: usize,
        handler: Arc<H>,
        options: Arc<ProxyOptions>,
        guests: Arc<Guests>,
    ) -> Self {
        Self {
            index,
            handler,
            ticker: Ticker::new(),
            pool: Pool::new(options.kept_max),
            pipes: Pipes::default(),
            streams: Streams::default(),
            tasks: Arc::default(),
            guests,
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            scratch: Mutex::default(),
            options,
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether another process accepts what this one does not any more.
    pub(super) fn is_relieved(&self) -> bool {
        self.options.sockets.as_ref().is_some_and(Sockets::are_passed_on)
    }

    /// Whether a stop has come to its end.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Buffers for a request: those used last, which the processor still has near.
    pub(super) fn borrow(&self) -> Box<Scratch> {
        let kept = self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        kept.unwrap_or_else(Scratch::new)
    }

    pub(super) fn give_back(&self, mut scratch: Box<Scratch>) {
        scratch.client.clear();
        scratch.upstream.clear();
        let mut kept = self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() < SCRATCH_KEPT {
            kept.push(scratch);
        }
    }

    /// Serves a connection, unless its client has too many.
    fn receive(self: &Arc<Self>, connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        let max = self.handler.connections_max(peer.ip().to_canonical());
        let guest = max.map(|max| self.guests.enter(peer.ip(), max));
        if matches!(guest, Some(None)) {
            return;
        }
        let serving = connection::serve(self.clone(), stream, peer);
        connections.spawn(async move {
            let _guest = guest;
            serving.await;
        });
    }

    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, stop: Stop) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections_max = (self.options.connections_max / self.options.workers.max(1)).max(1);
        let mut connections = JoinSet::new();
        let mut upkeep = JoinSet::new();
        let sweeper = self.clone();
        let kept_for = u64::try_from(self.options.kept_for.as_millis()).unwrap_or(u64::MAX);
        upkeep.spawn(self.ticker.clone().run(move |now| {
            let oldest = now.saturating_sub(kept_for);
            sweeper.pool.sweep(oldest);
            sweeper.streams.sweep(oldest);
        }));
        loop {
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
                accepted = listener.accept(), if connections.len() < connections_max => match accepted {
                    Ok((stream, peer)) => self.receive(&mut connections, stream, peer),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
        // Those that the kernel had already accepted are served too: their clients have sent their requests.
        while let Some(Ok((stream, peer))) = at_once(&listener).await {
            self.receive(&mut connections, stream, peer);
        }
        self.draining.store(true, Ordering::Relaxed);
        drop(listener);
        self.ticker.wake_all();
        while !connections.is_empty() {
            tokio::select! { biased;
                () = stop.hard.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
            }
        }
        self.cut.store(true, Ordering::Relaxed);
        connections.shutdown().await;
        upkeep.shutdown().await;
        Ok(())
    }
}

async fn at_once(listener: &tokio::net::TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    tokio::select! { biased;
        accepted = listener.accept() => Some(accepted),
        () = std::future::ready(()) => None,
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("serving a connection panicked; the connection is closed");
    }
}

/// Starts a worker's thread. The receiver gets how it ended, and nothing if it panicked.
pub(super) fn spawn<H: Handler>(
    worker: Arc<Worker<H>>,
    listener: TcpListener,
    stop: Stop,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (ended, ending) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("dozen-http-{}", worker.index)).spawn(move || {
        let outcome = runtime.block_on(worker.run(listener, stop));
        // Nobody waits any more if the service's future was dropped.
        let _ = ended.send(outcome);
    })?;
    Ok(ending)
}
