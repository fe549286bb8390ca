//! Exchanges whose answer is a value: made by a service, or fetched from an endpoint.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};

use super::account::{Account, Asked};
use super::worker::Worker;
use super::{Around, Context, Cutoff, Failure, Forward, Handler, Serve, Serving, Trail, around, forward};
use crate::resilience::Priority;
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
#[derive(Clone)]
pub(super) enum By {
    Service(Arc<dyn Serve>),
    Endpoint(Route),
    /// By the other, with somebody around it.
    Around(Arc<dyn Around>, Box<By>),
}

/// To which endpoints.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) upstream: Arc<Upstream>,
    pub(super) random: u64,
    pub(super) key: Option<u64>,
    pub(super) priority: Priority,
    pub(super) timeout: Duration,
    /// Whether it is the client that gives no more time.
    pub(super) is_hurried: bool,
    pub(super) transport: Option<Arc<Transport>>,
    pub(super) trail: Option<Arc<dyn Trail>>,
}

/// What came of it, and from where.
pub(super) struct Given {
    pub(super) answer: Result<Response<Body>, Failure>,
    pub(super) lease: Option<Lease>,
    /// The service that is to hear how it goes from here; none if it has heard already.
    pub(super) upstream: Option<Arc<Upstream>>,
    /// Endpoints that were asked, one after the other.
    pub(super) attempts: u32,
    /// The one that was asked last, where there is no lease to tell it.
    pub(super) asked: Option<Asked>,
}

impl<T> From<Serving<T>> for Order<T> {
    fn from(serving: Serving<T>) -> Self {
        let Serving { service, around, body_max, total, ticket } = serving;
        Self { by: By::Service(service).within(around), body_max, total, cutoff: None, ticket }
    }
}

impl<T> From<Forward<T>> for Order<T> {
    fn from(forward: Forward<T>) -> Self {
        let Forward {
            upstream,
            random,
            key,
            priority,
            body_max,
            timeout,
            total,
            cutoff,
            transport,
            websocket: _,
            around,
            trail,
            ticket,
        } = forward;
        let route = Route { upstream, random, key, priority, timeout, is_hurried: false, transport, trail };
        Self { by: By::Endpoint(route).within(around), body_max, total, cutoff, ticket }
    }
}

impl<T> Order<T> {
    /// The client gives less time than it would have.
    pub(super) fn hurried(mut self, is_hurried: bool) -> Self {
        let mut by = &mut self.by;
        while let By::Around(_, inner) = by {
            by = inner;
        }
        if let By::Endpoint(route) = by {
            route.is_hurried = is_hurried;
        }
        self
    }
}

impl By {
    fn within(self, around: Option<Arc<dyn Around>>) -> Self {
        match around {
            Some(around) => Self::Around(around, Box::new(self)),
            None => self,
        }
    }

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
                Box::pin(async move { Given::of(Ok(answer.await)) })
            }
            Self::Endpoint(route) => Box::pin(forward::run(worker.clone(), route, request, context.deadline)),
            Self::Around(around, inner) => {
                Box::pin(around::run(worker.clone(), around, *inner, request, context))
            }
        }
    }
}

impl Given {
    /// What came of it without an endpoint.
    pub(super) fn of(answer: Result<Response<Body>, Failure>) -> Self {
        Self { answer, lease: None, upstream: None, attempts: 0, asked: None }
    }

    /// Leaves in the account where the answer came from.
    pub(super) fn settle<H: Handler, W: Deref<Target = Worker<H>>>(
        self,
        account: &mut Account<H, W>,
    ) -> Result<Response<Body>, Failure> {
        account.lease = self.lease;
        account.upstream = self.upstream;
        account.attempts = self.attempts;
        account.asked = self.asked;
        self.answer
    }
}
