//! Forwarding as a value: where one side speaks HTTP/2, or the service's policy sends requests again.
//!
//! ```text
//!            ┌──────────── wait, if the policy, the budget and the deadline allow one more ◄──┐
//!            ▼                                                                                │
//!  request ─► attempt ─► pick ─► connect ─► send ─► head of the answer ─► worth another? ─────┤
//!            └► hedge, if that takes unusually long: whichever answers first ───────────────► no: the client's
//! ```
//!
//! The same endpoints, failures and limits as on the path from HTTP/1.1 to HTTP/1.1; only bytes are not copied from one
//! buffer to another there and back, but handed on as frames, and trailers with them. An attempt ends with the head of an
//! answer: from there on the client sees it, and nothing is repeated. An attempt that lost is dropped, which closes its
//! connection or resets its stream; its endpoint is neither praised nor blamed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Request, header};
use tokio::time::sleep;

use super::Handler;
use super::account::report;
use super::around::{Departed, OwnKey};
use super::attempt::{Answered, Ended, Failed};
use super::deadline::{told, too_late};
use super::dial::Tried;
use super::order::{Given, Route};
use super::replay::Replay;
use super::worker::Worker;
use crate::Body;
use crate::resilience::{ATTEMPT_HEADER, Attempt, Cause, Decision, deadline, is_retried_elsewhere};

const ATTEMPT: HeaderName = HeaderName::from_static(ATTEMPT_HEADER);
/// Makes a request that is not idempotent safe to repeat: its service knows it by this.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Sends `request` to an endpoint, or to several one after the other, and waits for the head of its answer.
pub(super) async fn run<H: Handler>(
    worker: Arc<Worker<H>>,
    route: Route,
    request: Request<Body>,
    deadline: Option<Instant>,
) -> Given {
    let call = Call::new(worker, route, request, deadline);
    if call.is_over() {
        return Given::of(Err(too_late(call.route.is_hurried)));
    }
    loop {
        let ended = call.turn().await;
        let Some(wait) = call.again(&ended) else { return call.give(ended) };
        call.tell(ended);
        sleep(wait).await;
    }
}

/// A request, and what all its attempts share.
pub(super) struct Call<H> {
    pub(super) worker: Arc<Worker<H>>,
    pub(super) route: Route,
    pub(super) body: Replay,
    pub(super) tried: Tried,
    /// When all of it is cut.
    pub(super) deadline: Option<Instant>,
    /// Gone once it has been sent, where it is sent only once.
    head: Mutex<Option<http::request::Parts>>,
    began: Instant,
    /// Where somebody wants to know whether the request has gone out.
    departed: Option<Departed>,
    /// Whether the policy sends requests again that may have arrived.
    repeats: bool,
    is_idempotent: bool,
    is_retried_elsewhere: bool,
    may_hedge: bool,
}

impl<H: Handler> Call<H> {
    fn new(worker: Arc<Worker<H>>, route: Route, request: Request<Body>, deadline: Option<Instant>) -> Self {
        let (head, body) = request.into_parts();
        let repeats = route.upstream.repeats();
        let is_known =
            head.headers.contains_key(IDEMPOTENCY_KEY) && head.extensions.get::<OwnKey>().is_none();
        let departed = head.extensions.get::<Departed>().cloned();
        let is_idempotent = head.method.is_idempotent() || is_known;
        let is_retried_elsewhere =
            is_retried_elsewhere(head.headers.get(ATTEMPT).map(HeaderValue::as_bytes), None);
        let is_safe = head.method.is_safe();
        let body = Replay::new(body, repeats && is_idempotent && !is_retried_elsewhere);
        Self {
            may_hedge: repeats && is_safe && body.is_empty() && !is_retried_elsewhere,
            worker,
            route,
            body,
            tried: Tried::default(),
            deadline,
            head: Mutex::new(Some(head)),
            began: Instant::now(),
            departed,
            repeats,
            is_idempotent,
            is_retried_elsewhere,
        }
    }

    /// Something of the request may have arrived.
    pub(super) fn depart(&self) {
        self.departed.iter().for_each(Departed::set);
    }

    /// One attempt, or one and its hedges.
    async fn turn(&self) -> Ended {
        let left = || Some(self.left());
        let wait = self.may_hedge.then(|| self.route.upstream.hedge_after(1, true, left())).flatten();
        match wait {
            None => self.attempt().await,
            Some(wait) => Box::pin(self.hedged(wait)).await,
        }
    }

    /// What of an attempt may be worth another.
    pub(super) fn cause(&self, ended: &Ended) -> Option<Cause> {
        match ended {
            Err(failed) => failed.cause,
            Ok(answered) => {
                let status = answered.response.status().as_u16();
                let cause = Cause::Status(status);
                let is_named =
                    status >= 400 && self.repeats && self.route.upstream.policy().retry.on.contains(&cause);
                is_named.then_some(cause)
            }
        }
    }

    /// The wait before another attempt, if there is to be one. It has been paid for then.
    fn again(&self, ended: &Ended) -> Option<Duration> {
        if !self.repeats {
            return None;
        }
        let cause = self.cause(ended)?;
        let headers = ended.as_ref().ok().map(|answered| answered.response.headers());
        let header = |name: HeaderName| headers.and_then(|headers| headers.get(name));
        let seconds = |value: &HeaderValue| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
        let attempts = header(ATTEMPT).map(HeaderValue::as_bytes);
        let attempt = Attempt {
            number: self.tried.count(),
            cause,
            is_idempotent: self.is_idempotent,
            is_replayable: self.body.is_replayable() && self.has_head(),
            left: Some(self.left()),
            retry_after: header(header::RETRY_AFTER).and_then(seconds),
            is_retried_elsewhere: self.is_retried_elsewhere || is_retried_elsewhere(None, attempts),
            random: self.route.random.rotate_left(self.tried.count() % 64),
        };
        match self.route.upstream.retry(&attempt) {
            Decision::Retry { after } => Some(after),
            Decision::GiveUp(why) => {
                tracing::debug!(service = &**self.route.upstream.service(), %cause, %why, "not sent again");
                None
            }
        }
    }

    /// Tells the service of an attempt that is followed by another.
    pub(super) fn tell(&self, ended: Ended) {
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

    /// What the client gets.
    fn give(self, ended: Ended) -> Given {
        let attempts = self.tried.count();
        let upstream = Some(self.route.upstream);
        match ended {
            Ok(Answered { mut response, lease }) => {
                if self.repeats && attempts > 1 {
                    response.headers_mut().insert(ATTEMPT, HeaderValue::from(attempts));
                }
                Given { answer: Ok(response), lease: Some(lease), upstream, asked: None }
            }
            Err(Failed { failure, lease, is_told, .. }) => {
                let upstream = upstream.filter(|_| !is_told);
                Given { answer: Err(failure), lease, upstream, asked: None }
            }
        }
    }

    /// The time for the head of an answer, all attempts together.
    pub(super) fn left(&self) -> Duration {
        let left = self.route.timeout.saturating_sub(self.began.elapsed());
        let total = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        deadline::shorter(Some(left), total).unwrap_or_default()
    }

    /// How long one attempt may take to the head of its answer, where that is less than all of them have.
    pub(super) fn per_try(&self) -> Option<Duration> {
        let policy = if self.repeats { Some(self.route.upstream.policy()) } else { None };
        policy?.retry.per_try_timeout.filter(|_| self.body.is_replayable())
    }

    /// Whether there is no time left.
    pub(super) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|end| end <= Instant::now())
    }

    fn has_head(&self) -> bool {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The request as the next attempt sends it, with `around` its body.
    pub(super) fn request(&self, around: impl FnOnce(Body) -> Body) -> Option<Request<Body>> {
        let body = self.body.body()?;
        let mut kept = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut head = if self.repeats { kept.clone() } else { kept.take() }?;
        drop(kept);
        if self.repeats {
            head.headers.insert(ATTEMPT, HeaderValue::from(self.tried.count().max(1)));
        }
        if let Some(end) = self.deadline {
            told(end.saturating_duration_since(Instant::now()), &mut head.headers);
        }
        Some(Request::from_parts(head, around(body)))
    }
}
