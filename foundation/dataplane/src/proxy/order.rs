//! Exchanges whose answer is a value: made by a service, or fetched from an endpoint.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};

use super::account::Account;
use super::worker::Worker;
use super::{Context, Cutoff, Failure, Forward, Handler, Serve, Serving, forward};
use crate::{Body, Lease, Transport, Upstream};

/// By whom a request is to be answered, and within which limits.
pub(super) struct Order<T> {
    pub(super) by: By,
    pub(super) body_max: u64,
    pub(super) total: Option<Duration>,
    /// When the answer is cut from outside, if ever.
    pub(super) cutoff: Option<Arc<Cutoff>>,
    pub(super) ticket: T,
}

/// By whom.
pub(super) enum By {
    Service(Arc<dyn Serve>),
    Endpoint(Route),
}

/// To which endpoints.
pub(super) struct Route {
    pub(super) upstream: Arc<Upstream>,
    pub(super) random: u64,
    pub(super) key: Option<u64>,
    pub(super) timeout: Duration,
    /// Whether it is the client that gives no more time.
    pub(super) is_hurried: bool,
    pub(super) transport: Option<Arc<Transport>>,
}

/// What came of it, and from where.
pub(super) struct Given {
    pub(super) answer: Result<Response<Body>, Failure>,
    pub(super) lease: Option<Lease>,
    /// The service that is to hear how it goes from here; none if it has heard already.
    pub(super) upstream: Option<Arc<Upstream>>,
}

impl<T> From<Serving<T>> for Order<T> {
    fn from(serving: Serving<T>) -> Self {
        let Serving { service, body_max, total, ticket } = serving;
        Self { by: By::Service(service), body_max, total, cutoff: None, ticket }
    }
}

impl<T> From<Forward<T>> for Order<T> {
    fn from(forward: Forward<T>) -> Self {
        let Forward {
            upstream,
            random,
            key,
            body_max,
            timeout,
            total,
            cutoff,
            transport,
            websocket: _,
            ticket,
        } = forward;
        let route = Route { upstream, random, key, timeout, is_hurried: false, transport };
        Self { by: By::Endpoint(route), body_max, total, cutoff, ticket }
    }
}

impl<T> Order<T> {
    /// The client gives less time than it would have.
    pub(super) fn hurried(mut self, is_hurried: bool) -> Self {
        if let By::Endpoint(route) = &mut self.by {
            route.is_hurried = is_hurried;
        }
        self
    }
}

impl By {
    /// Begins to answer. Dropping the future takes the request back.
    pub(super) fn answer<H: Handler>(
        self,
        worker: &Arc<Worker<H>>,
        request: Request<Body>,
        context: Context,
    ) -> BoxFuture<'static, Given> {
        match self {
            Self::Service(service) => {
                let answer = service.serve(request, context);
                Box::pin(async move { Given { answer: Ok(answer.await), lease: None, upstream: None } })
            }
            Self::Endpoint(route) => Box::pin(forward::run(worker.clone(), route, request, context.deadline)),
        }
    }
}

impl Given {
    /// Leaves in the account where the answer came from.
    pub(super) fn settle<H: Handler, W: Deref<Target = Worker<H>>>(
        self,
        account: &mut Account<H, W>,
    ) -> Result<Response<Body>, Failure> {
        account.lease = self.lease;
        account.upstream = self.upstream;
        self.answer
    }
}
