//! Forwarding as a value: where one side speaks HTTP/2, or the service's policy sends requests again.
//!
//! The same endpoints, failures and limits as on the path from HTTP/1.1 to HTTP/1.1; only bytes are not copied from one
//! buffer to another there and back, but handed on as frames, and trailers with them. How often a request is sent is
//! decided as for every caller ([`crate::attempts`]).

use std::sync::Arc;
use std::time::Instant;

use http::Request;

use super::account::report;
use super::deadline::too_late;
use super::order::{Given, Route};
use super::worker::Worker;
use super::{Failure, Handler};
use crate::attempts::{self, Answered, Attempts, Ended, Errand, Failed};
use crate::{Body, Protocol};

/// Sends `request` to an endpoint, or to several one after the other, and waits for the head of its answer.
pub(super) async fn run<H: Handler>(
    worker: Arc<Worker<H>>,
    route: Route,
    request: Request<Body>,
    deadline: Option<Instant>,
) -> Given {
    let may_refuse = route.transport.as_ref().is_some_and(|transport| transport.protocol == Protocol::Http2);
    let (upstream, random, timeout) = (route.upstream.clone(), route.random, route.timeout);
    let errand = Errand::new(upstream, request, random, timeout, deadline, may_refuse);
    let call = Call { worker, route, errand };
    if call.errand.is_over() {
        return Given::of(Err(too_late(call.route.is_hurried)));
    }
    let ended = attempts::run(&call).await;
    call.give(ended)
}

/// A request on its way through a worker.
pub(super) struct Call<H> {
    pub(super) worker: Arc<Worker<H>>,
    pub(super) route: Route,
    pub(super) errand: Errand,
}

impl<H: Handler> Attempts for Call<H> {
    type Failure = Failure;

    fn errand(&self) -> &Errand {
        &self.errand
    }

    fn attempt(&self) -> impl Future<Output = Ended<Failure>> + Send {
        self.one()
    }

    fn tell(&self, ended: Ended<Failure>) {
        match ended {
            Ok(Answered { response, lease }) => {
                report(&self.route.upstream, &lease, response.status().as_u16(), None);
            }
            Err(Failed { failure, lease: Some(lease), is_told: false, .. }) => {
                report(&self.route.upstream, &lease, 0, Some(failure));
            }
            Err(_) => {}
        }
    }
}

impl<H: Handler> Call<H> {
    /// What the client gets.
    fn give(self, ended: Ended<Failure>) -> Given {
        let (upstream, attempts) = (Some(self.route.upstream), self.errand.tried.count());
        match ended {
            Ok(Answered { mut response, lease }) => {
                self.errand.mark(&mut response);
                Given { answer: Ok(response), lease: Some(lease), upstream, attempts, asked: None }
            }
            Err(Failed { failure, lease, is_told, .. }) => {
                let upstream = upstream.filter(|_| !is_told);
                Given { answer: Err(failure), lease, upstream, attempts, asked: None }
            }
        }
    }
}
