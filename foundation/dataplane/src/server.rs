//! An HTTP server for handlers: any `tower` service, an axum `Router` among them, behind the strict framing.
//!
//! It is a worker of the proxy whose every request is served, on the runtime that it is started on: one exchange, one
//! set of limits, TLS and HTTP/2 for both. On `stop.soft` it accepts no more, lets go of idle connections and marks the
//! answers in flight `connection: close`; on `stop.hard` it drops what is left.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use futures::future::BoxFuture;
use http_body::Body as HttpBody;
use tower::ServiceExt;

use crate::listen::Wanted;
use crate::proxy::Worker;
use crate::{
    Body, BodyRate, Context, Error, Handler, Http2Limits, Incoming, Outcome, Outgoing, ProxyOptions, Reply,
    Serve, Serving, Sockets, Tls, Verdict,
};

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
    /// How fast it has to move a body; see [`ProxyOptions::body_rate`].
    pub body_rate: Option<BodyRate>,
    /// TLS towards clients; plain TCP without.
    pub tls: Option<Arc<Tls>>,
    /// The limits of HTTP/2.
    pub http2: Http2Limits,
    /// Where the socket is taken from and kept, if it may be passed on to another process.
    pub sockets: Option<Sockets>,
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
            body_rate: Some(BodyRate::USUAL),
            tls: None,
            http2: Http2Limits::default(),
            sockets: None,
        }
    }
}

/// The address of the client, in a request's extensions. A client that speaks TLS has its
/// [`TlsSession`](crate::TlsSession) there, too, in an `Arc`.
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
        let wanted = Wanted { setting: &limits.setting, address, sockets: limits.sockets.as_ref() };
        let listener = wanted.exclusive()?;
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
        let service = Arc::new(Tower(Mutex::new(service)));
        let always = Arc::new(Always { service, body_max: self.limits.body_max });
        Arc::new(Running { server: self, always })
    }
}

struct Running {
    server: Server,
    always: Arc<Always>,
}

#[async_trait]
impl Service for Running {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let listener = self.server.listener.try_clone()?;
        let limits = self.server.limits.clone();
        let options = ProxyOptions {
            setting: limits.setting,
            workers: 1,
            connections_max: limits.connections_max,
            head_max: limits.head_max,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
            body_rate: limits.body_rate,
            tls: limits.tls,
            http2: limits.http2,
            sockets: limits.sockets,
            ..ProxyOptions::default()
        };
        let worker = Worker::new(0, self.always.clone(), Arc::new(options), Arc::default());
        let worker = Arc::new(worker);
        ready.ready();
        Ok(worker.run(listener, stop).await?)
    }
}

/// Every request is served, and nobody has to hear how it ended.
struct Always {
    service: Arc<dyn Serve>,
    body_max: u64,
}

impl Handler for Always {
    type Ticket = ();

    fn begin(&self, _: &Incoming<'_>, _: &mut Outgoing<'_>) -> Verdict<()> {
        let service = self.service.clone();
        Verdict::Serve(Serving { service, around: None, body_max: self.body_max, total: None, ticket: () })
    }

    fn end(&self, (): (), _: &Outcome<'_>) {}

    fn strips_from_request(&self, (): &(), _: &str) -> bool {
        false
    }

    fn strips_from_response(&self, _: &str) -> bool {
        false
    }
}

/// A `tower` service. Cloned for each request, and behind a lock because it need not be shareable.
struct Tower<S>(Mutex<S>);

impl<S, B> Serve for Tower<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn serve(
        &self,
        mut request: http::Request<Body>,
        context: Context,
    ) -> BoxFuture<'static, http::Response<Body>> {
        request.extensions_mut().insert(Peer(context.peer));
        if let Some(session) = context.tls {
            request.extensions_mut().insert(session);
        }
        let service = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        Box::pin(async move {
            match service.oneshot(request).await {
                Ok(response) => response.map(Body::new),
                Err(error) => {
                    let error: BoxError = error.into();
                    tracing::error!(error = %dozen_core::chain(&*error), "a request handler failed");
                    Reply::new(500, "the request could not be handled").into_response()
                }
            }
        })
    }
}
