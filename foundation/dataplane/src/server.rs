//! An HTTP server for handlers: any `tower` service, an axum `Router` among them, behind the strict framing.
//!
//! ```text
//!            ┌── feed:    socket ─► Decoder ─► the request's Body (one piece ahead, no further)
//! connection ┤                                        │
//!            └── respond: service ◄───────────────────┘ ─► head and frames ─► socket, each as soon as it is there
//! ```
//!
//! It runs on the runtime that it is started on. On `stop.soft` it accepts no more, lets go of idle connections and
//! marks the answers in flight `connection: close`; on `stop.hard` it drops what is left.

mod connection;
mod incoming;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http_body::Body as HttpBody;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use incoming::headers;

use crate::{Body, Error};

/// What a client may ask of a server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The setting to name when the address cannot be listened on.
    pub setting: String,
    /// Connections at one time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of a request's head.
    pub head_max: usize,
    /// Bytes of a request's body.
    pub body_max: u64,
    /// From the first byte of a head to its last, and from a connection's start to the first byte.
    pub header_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer, or send nothing of a body.
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            setting: "listen".into(),
            connections_max: 10_000,
            head_max: 16 * 1024,
            body_max: 16 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// The address of the client, in a request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A socket that listens, and is not served yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Listens on `address`; port 0 chooses one.
    pub fn bind(address: SocketAddr, limits: Limits) -> Result<Self, Error> {
        let listener =
            crate::listen::exclusive(address).map_err(|error| error.in_setting(&limits.setting))?;
        let bound = listener.local_addr();
        let setting = limits.setting.clone();
        let address = bound.map_err(|source| Error::Listen { address, setting, source })?;
        Ok(Self { listener, address, limits })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The part of the process that answers with `service`.
    pub fn serving<S, B>(self, service: S) -> Arc<dyn Service>
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Arc::new(Serving { server: self, service: Mutex::new(service) })
    }
}

struct Serving<S> {
    server: Server,
    /// Cloned for each connection, and behind a lock because a service need not be shareable.
    service: Mutex<S>,
}

#[async_trait]
impl<S, B> Service for Serving<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let listener = TcpListener::from_std(self.server.listener.try_clone()?)?;
        let limits = Arc::new(self.server.limits.clone());
        let mut connections = JoinSet::new();
        ready.ready();
        loop {
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
                accepted = listener.accept(), if connections.len() < limits.connections_max => match accepted {
                    Ok((stream, peer)) => {
                        let service = self.service.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
                        connections.spawn(connection::serve(stream, peer, service, limits.clone(), stop.clone()));
                    }
                    Err(error) => pause_after(&error).await,
                },
            }
        }
        drop(listener);
        while !connections.is_empty() {
            tokio::select! { biased;
                () = stop.hard.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
            }
        }
        connections.shutdown().await;
        Ok(())
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a request handler panicked; its connection is closed");
    }
}

/// Out of file descriptors is no reason to spin: the connections that hold them need the processor to end.
pub(crate) async fn pause_after(error: &io::Error) {
    let is_of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !is_of_one_connection {
        tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
