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

mod call;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::Ids;
use http::{HeaderValue, Request, Response};

use self::call::{Call, Failure};
use crate::attempts::{self, Errand};
use crate::place::{Place, Whom};
use crate::resilience::{Priority, deadline};
use crate::{
    Body, Client, Error, Protocol, Resolve, ServicePolicy, Transport, Unavailable, Upstream, Upstreams,
};

/// A request that gives less time than its caller by so much is in a hurry of its own.
const HASTE: Duration = Duration::from_millis(5);

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
        let told = deadline::read(told, None);
        let until = told.and_then(|left| Instant::now().checked_add(left.min(timeout)));
        let is_hurried = told.is_some_and(|left| left + HASTE < timeout);
        let errand = Errand::new(upstream, request, self.ids.random(), timeout, until, may_refuse);
        let is_hurried = is_hurried || self.is_hurried;
        let (stall, priority, is_aside) = (timeout, self.priority, self.is_aside);
        let call = Call { client, errand, stall, priority, is_aside, is_hurried };
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
