//! One call at work: attempts on the connections of a client.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http_body::Body as _;
use tokio::time::timeout;

use super::told::{Told, judge};
use crate::attempts::{Answered, Attempts, Ended, Errand, Failed};
use crate::resilience::{Cause, Priority};
use crate::{Body, Client, Error, Lease, Unavailable, Upstream};

/// A request on its way.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) errand: Errand,
    pub(super) stall: Duration,
    pub(super) priority: Priority,
    pub(super) is_aside: bool,
    /// Whether it gives less time than whoever calls: an instance that is too slow for it is not too slow.
    pub(super) is_hurried: bool,
}

/// What an attempt came to that brought no answer.
pub(super) enum Failure {
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
                let is_told = match error {
                    Error::Unprocessed { .. } => true,
                    Error::TimedOut { .. } => self.is_hurried && errand.is_over(),
                    _ => cause.is_none(),
                };
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
        let late = || Error::TimedOut { address: lease.state.at.to_string() };
        let left = errand.left();
        let within = errand.per_try().map_or(left, |per_try| per_try.min(left));
        let connect_timeout = errand.upstream.policy().connect_timeout;
        let exchange = async {
            let reached = timeout(connect_timeout, self.client.reach(&lease.state.at)).await;
            let slow = |_| Error::Connect {
                address: lease.state.at.to_string(),
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
    pub(super) fn told(&self, failed: Failed<Failure>) -> Failure {
        let Failed { failure, lease, is_told, .. } = failed;
        if let (Some(upstream), Some(lease), false) = (self.tells(), &lease, is_told) {
            upstream.failed(lease);
        }
        failure
    }

    /// What the caller gets: the answer, which tells how it ends.
    pub(super) fn give(&self, answered: Answered) -> Response<Body> {
        let Answered { mut response, lease } = answered;
        self.errand.mark(&mut response);
        let (status, upstream) = (response.status(), self.tells().cloned());
        if response.body().is_end_stream() {
            upstream.inspect(|upstream| judge(upstream, &lease, status));
            return response;
        }
        response.map(|body| Body::new(Told::new(body, status, upstream, lease)))
    }
}
