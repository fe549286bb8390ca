//! Exchanges whose answer is a value: made by a service, or fetched from an endpoint.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{Request, Response};

use super::account::Account;
use super::worker::Worker;
use super::{Context, Escort, Failure, Forward, Handler, Serve, Serving, forward};
use crate::{Body, Lease, Transport, Upstream};

/// By whom a request is to be answered, and within which limits.
pub(super) struct Order<T> {
    pub(super) by: By,
    pub(super) body_max: u64,
    pub(super) total: Option<Duration>,
    pub(super) ticket: T,
}

/// By whom.
pub(super) enum By {
    Service(Arc<dyn Serve>),
    Endpoint(Route, Option<Arc<dyn Escort>>),
}

/// To which endpoints.
pub(super) struct Route {
    pub(super) upstream: Arc<Upstream>,
    pub(super) random: u64,
    pub(super) timeout: Duration,
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
        Self { by: By::Service(service), body_max, total, ticket }
    }
}

impl<T> From<Forward<T>> for Order<T> {
    fn from(forward: Forward<T>) -> Self {
        let Forward {
            upstream,
            random,
            body_max,
            timeout,
            total,
            cutoff: _,
            transport,
            websocket: _,
            escort,
            ticket,
        } = forward;
        let route = Route { upstream, random, timeout, transport };
        Self { by: By::Endpoint(route, escort), body_max, total, ticket }
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
            Self::Endpoint(route, None) => {
                Box::pin(forward::run(worker.clone(), route, request, context.deadline))
            }
            Self::Endpoint(route, Some(escort)) => {
                let worker = worker.clone();
                Box::pin(async move {
                    let request = match escort.out(request).await {
                        Ok(request) => request,
                        Err(answer) => return Given { answer: Ok(answer), lease: None, upstream: None },
                    };
                    let mut given = forward::run(worker, route, request, context.deadline).await;
                    if let Ok(answer) = given.answer {
                        given.answer = Ok(escort.home(answer).await);
                    }
                    given
                })
            }
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

/// When a request that began at `started` is cut.
pub(super) fn deadline(started: Instant, total: Option<Duration>) -> Option<Instant> {
    total.and_then(|total| started.checked_add(total))
}
