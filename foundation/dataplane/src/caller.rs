//! Asking a service by its name: the one way in which the runtime itself calls services.
//!
//! ```text
//!  name ─► Upstreams ─► pick: in flight, circuit, ejection ─► transport of the service ─► send ─► head ─► body ─► the end
//!             ▲           ▲                                                                 │                      │
//!             │           └─────────── again, if its policy, its budget and the time allow ◄┘                      │
//!             └────────────────────────────── succeeded, failed, or given up ◄─────────────────────────────────────┘
//! ```
//!
//! Deliveries, invocations, translators, compositions, identity providers and shadows all have this in common, and so
//! whatever the file says of a service holds for each of them as for a request through the gateway: the protocol and the TLS
//! that it is spoken to in, where it is, how many requests it takes at a time, when it is left alone, and what is sent again.
//! What it has learnt of a service it shares with whoever has the same [`Upstreams`].
//!
//! A request counts as in flight until the body of its answer has ended or is dropped. An answer of 502 to 504 and a body
//! that breaks off count against the instance, as they do for the gateway.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dozen_core::Ids;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::timeout;

use crate::attempts::{self, Answered, Attempts, Ended, Errand, Failed};
use crate::place::{Place, Whom};
use crate::resilience::{Cause, Priority, deadline};
use crate::{
    Body, BoxError, Client, Error, Lease, Protocol, Resolve, ServicePolicy, Transport, Unavailable, Upstream,
    Upstreams,
};

/// Asks services. Cheap to clone; the clones share their connections, which live on the runtime that they are used on.
#[derive(Clone, Debug)]
pub struct Caller {
    upstreams: Arc<Upstreams>,
    client: Client,
    ids: Ids,
    priority: Priority,
    is_aside: bool,
    is_hurried: bool,
}

/// Why a service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody knows a service of this name.
    #[error("there is no service `{service}`")]
    Unknown {
        /// The name.
        service: String,
    },
    /// It is not asked at the moment.
    #[error("`{service}` cannot be asked")]
    Unavailable {
        /// The service.
        service: String,
        /// Why.
        source: Unavailable,
    },
    /// It was asked.
    #[error("`{service}` does not answer")]
    Failed {
        /// The service.
        service: String,
        /// How it went.
        source: Error,
    },
}

impl CallError {
    /// Whether it is certain that the service has not looked at the request.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Unavailable { .. } => true,
            Self::Failed { source, .. } => is_unsent(source),
        }
    }

    /// Whether the time was over.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Failed { source: Error::TimedOut { .. }, .. })
    }

    /// How long to stay away, where that can be told.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}

fn is_unsent(error: &Error) -> bool {
    matches!(error, Error::Connect { .. } | Error::Unprocessed { .. } | Error::Request { .. })
}

impl Caller {
    /// Asks the services of `upstreams`, over connections of `client`.
    pub fn new(upstreams: Arc<Upstreams>, client: Client, ids: Ids) -> Self {
        Self { upstreams, client, ids, priority: Priority::default(), is_aside: false, is_hurried: false }
    }

    /// Asks services that `resolve` finds, all by the usual policy and in plain HTTP/1.1.
    pub fn plain(resolve: Resolve, ids: Ids) -> Self {
        Self::new(Arc::new(Upstreams::new(resolve, ServicePolicy::default())), Client::new(), ids)
    }

    /// The same over connections of `client`: on another runtime, or to keep them apart.
    #[must_use]
    pub fn over(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// The same for what nobody waits for. It takes the places that others leave, is refused first, and says nothing
    /// of the instances: what goes wrong here ejects nobody and opens no circuit for those who wait.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { priority: Priority::Background, is_aside: true, ..self.clone() }
    }

    /// The same for whoever is given less time than there usually is. What is late then says nothing of the instance: a
    /// client in a hurry must not be able to have instances taken for dead.
    #[must_use]
    pub fn hurried(&self, is_hurried: bool) -> Self {
        Self { is_hurried, ..self.clone() }
    }

    /// A client that speaks what `service` speaks, for an address that is known already.
    pub fn client(&self, service: &str) -> Client {
        self.client.over(self.upstreams.transport(service))
    }

    /// The services that it asks.
    pub fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }

    /// Sends `request` to an instance of `service`, or to several one after the other, and waits for the head of its answer.
    ///
    /// `timeout` bounds the time until that head, all attempts and the wait for a place together; after it each wait for more
    /// of the body. Unless the policy of the service says more, only what has certainly not been looked at is sent again: to
    /// another instance, while there is one that accepts connections. Any answer is one, whatever its status. Dropping the
    /// future, or the answer's body, ends the request; its instance is then neither praised nor blamed.
    pub async fn send(
        &self,
        service: &str,
        request: Request<Body>,
        timeout: Duration,
    ) -> Result<Response<Body>, CallError> {
        let upstream = self.find(service)?;
        let client = self.client.over(upstream.transport());
        let may_refuse =
            upstream.transport().is_some_and(|transport| transport.protocol() == Protocol::Http2);
        // A request that tells how much time there is tells it anew at each attempt.
        let told = request.headers().get(deadline::HEADER).map(HeaderValue::as_bytes);
        let until = deadline::read(told, None).and_then(|left| Instant::now().checked_add(left.min(timeout)));
        let errand = Errand::new(upstream, request, self.ids.random(), timeout, until, may_refuse);
        let Self { priority, is_aside, is_hurried, .. } = *self;
        let call = Call { client, errand, stall: timeout, priority, is_aside, is_hurried };
        match attempts::run(&call).await {
            Ok(answered) => Ok(call.give(answered)),
            Err(failed) => {
                let failure = call.told(failed);
                Err(match failure {
                    Failure::Unavailable(source) => {
                        CallError::Unavailable { service: service.to_owned(), source }
                    }
                    Failure::Failed(source) => CallError::Failed { service: service.to_owned(), source },
                })
            }
        }
    }

    /// The same for a place: a service, or whoever is at a URL. That one is asked once, within `timeout`.
    pub async fn ask(
        &self,
        place: &Place,
        request: Request<Body>,
        timeout: Duration,
    ) -> Result<Response<Body>, CallError> {
        let (is_tls, address) = match &place.whom {
            Whom::Service(service) => return self.send(service, request, timeout).await,
            Whom::Url { is_tls, address, .. } => (*is_tls, address),
        };
        let failed = |source| CallError::Failed { service: place.name().to_owned(), source };
        let transport = if is_tls { Some(Transport::web().map_err(failed)?) } else { None };
        self.client.over(transport).send(address, request, timeout).await.map_err(failed)
    }

    fn find(&self, service: &str) -> Result<Arc<Upstream>, CallError> {
        let service = || service.to_owned();
        let unknown = || CallError::Unknown { service: service() };
        match self.upstreams.look(&service()).ok_or_else(unknown)? {
            true => self.upstreams.get(&service()).ok_or_else(unknown),
            false => Err(CallError::Unavailable { service: service(), source: Unavailable::NoneKnown }),
        }
    }
}

/// A request on its way.
struct Call {
    client: Client,
    errand: Errand,
    stall: Duration,
    priority: Priority,
    is_aside: bool,
    is_hurried: bool,
}

enum Failure {
    Unavailable(Unavailable),
    Failed(Error),
}

impl Attempts for Call {
    type Failure = Failure;

    fn errand(&self) -> &Errand {
        &self.errand
    }

    async fn attempt(&self) -> Ended<Failure> {
        let errand = &self.errand;
        let (upstream, wants) = (&errand.upstream, (None, self.priority));
        let lease = errand.tried.pick(upstream, wants, errand.random, errand.left()).await;
        let lease = lease.map_err(|why| Failed {
            failure: Failure::Unavailable(why),
            cause: None,
            lease: None,
            is_told: true,
        })?;
        match self.sent(&lease).await {
            Ok(response) => {
                self.tells().inspect(|upstream| upstream.heard(&lease));
                Ok(Answered { response, lease })
            }
            Err(error) => {
                let cause = match &error {
                    Error::Connect { .. } | Error::Unprocessed { .. } => Some(Cause::Connect),
                    Error::Broken { .. } | Error::Refused { .. } => Some(Cause::Reset),
                    Error::TimedOut { .. } => Some(Cause::Timeout),
                    _ => None,
                };
                // A request that cannot be sent says nothing of whom it was for, nor does an end that goes away in order.
                let is_told = cause.is_none()
                    || matches!(error, Error::Unprocessed { .. })
                    || (self.is_hurried && cause == Some(Cause::Timeout));
                Err(Failed { failure: Failure::Failed(error), cause, lease: Some(lease), is_told })
            }
        }
    }

    fn tell(&self, ended: Ended<Failure>) {
        match ended {
            Ok(Answered { response, lease }) => {
                self.tells().inspect(|upstream| judge(upstream, &lease, response.status()));
            }
            Err(failed) => drop(self.told(failed)),
        }
    }
}

impl Call {
    async fn sent(&self, lease: &Lease) -> Result<Response<Body>, Error> {
        let errand = &self.errand;
        let late = || Error::TimedOut { address: lease.address().to_string() };
        let left = errand.left();
        let within = errand.per_try().map_or(left, |per_try| per_try.min(left));
        let connect_timeout = errand.upstream.policy().connect_timeout;
        let exchange = async {
            let reached = timeout(connect_timeout, self.client.reach(lease.address())).await;
            let slow = |_| Error::Connect {
                address: lease.address().to_string(),
                source: std::io::ErrorKind::TimedOut.into(),
            };
            let reached = reached.map_err(slow)??;
            let request =
                errand.request(None, |body| body).ok_or(Error::Request { why: "it was sent already" })?;
            reached.send(request, self.stall).await
        };
        timeout(within, exchange).await.map_err(|_| late())?
    }

    /// Who is told how it went, if anybody is.
    fn tells(&self) -> Option<&Arc<Upstream>> {
        (!self.is_aside).then_some(&self.errand.upstream)
    }

    /// Tells the service of an attempt without an answer.
    fn told(&self, failed: Failed<Failure>) -> Failure {
        let Failed { failure, lease, is_told, .. } = failed;
        if let (Some(upstream), Some(lease), false) = (self.tells(), &lease, is_told) {
            upstream.failed(lease);
        }
        failure
    }

    /// What the caller gets: the answer, which tells how it ends.
    fn give(&self, answered: Answered) -> Response<Body> {
        let Answered { mut response, lease } = answered;
        self.errand.mark(&mut response);
        let (status, upstream) = (response.status(), self.tells().cloned());
        if response.body().is_end_stream() {
            upstream.inspect(|upstream| judge(upstream, &lease, status));
            return response;
        }
        response.map(|body| Body::new(Told { body, status, under_way: Some((upstream, lease)) }))
    }
}

fn judge(upstream: &Upstream, lease: &Lease, status: StatusCode) {
    match status.as_u16() {
        502..=504 => upstream.failed(lease),
        _ => upstream.succeeded(lease),
    }
}

/// The body of an answer. The request is in flight until it has ended.
struct Told {
    body: Body,
    status: StatusCode,
    under_way: Option<(Option<Arc<Upstream>>, Lease)>,
}

impl Told {
    fn end(&mut self, is_whole: bool) {
        if let Some((Some(upstream), lease)) = self.under_way.take() {
            match is_whole {
                true => judge(&upstream, &lease, self.status),
                false => upstream.failed(&lease),
            }
        }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.end(false),
            None => self.end(true),
            Some(Ok(_)) if self.body.is_end_stream() => self.end(true),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
