//! One request to a service, sent until it is answered: the one loop, for whoever sends it.
//!
//! ```text
//!            ┌──────────── wait, if the policy, the budget and the deadline allow one more ◄──┐
//!            ▼                                                                                │
//!  request ─► attempt ─► pick ─► connect ─► send ─► head of the answer ─► worth another? ─────┤
//!            └► hedge, if that takes unusually long: whichever answers first ───────────────► no: the caller's
//! ```
//!
//! What an attempt is differs: the proxy makes it on the connections of its worker ([`crate::proxy`]), a caller on those of
//! its client ([`crate::Caller`]). What follows from it does not. An attempt ends with the head of an answer: from there on
//! the caller sees it, and nothing is repeated. An attempt that lost is dropped, which closes its connection or resets its
//! stream; its endpoint is neither praised nor blamed.
//!
//! What has certainly not been looked at is sent again whatever it is: a connection could not be opened, or its other end
//! said that it does not take the request any more.

mod hedged;
mod replay;
mod tried;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, header};
use tokio::time::sleep;

use self::replay::Replay;
pub(crate) use self::tried::Tried;
use crate::proxy::{AttemptCount, Departed, OwnKey, told};
use crate::resilience::{ATTEMPT_HEADER, Attempt, Cause, Decision, deadline, is_retried_elsewhere};
use crate::{Body, Lease, Upstream};

const ATTEMPT: HeaderName = HeaderName::from_static(ATTEMPT_HEADER);
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// Makes a request that is not idempotent safe to repeat: its service knows it by this.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// An attempt that came to an answer, or did not.
pub(crate) type Ended<F> = Result<Answered, Failed<F>>;

/// An answer whose head is there.
pub(crate) struct Answered {
    pub(crate) response: Response<Body>,
    pub(crate) lease: Lease,
}

/// An attempt without one.
pub(crate) struct Failed<F> {
    pub(crate) failure: F,
    /// How it failed, if another attempt could do better.
    pub(crate) cause: Option<Cause>,
    pub(crate) lease: Option<Lease>,
    /// Whether the service has heard of it, or has nothing to hear.
    pub(crate) is_told: bool,
}

/// Whoever makes attempts.
pub(crate) trait Attempts: Sync {
    /// What an attempt without an answer comes to.
    type Failure: Send;

    /// What is to be sent.
    fn errand(&self) -> &Errand;

    /// Makes one.
    fn attempt(&self) -> impl Future<Output = Ended<Self::Failure>> + Send;

    /// Tells the service of one that is followed by another.
    fn tell(&self, ended: Ended<Self::Failure>);
}

/// Sends it as often as it takes and may be.
pub(crate) async fn run<A: Attempts>(attempts: &A) -> Ended<A::Failure> {
    let errand = attempts.errand();
    loop {
        let hedge = errand.may_hedge.then(|| errand.upstream.hedge_after(1, true, Some(errand.left())));
        let ended = match hedge.flatten() {
            None => attempts.attempt().await,
            Some(wait) => Box::pin(hedged::run(attempts, wait)).await,
        };
        let Some(wait) = errand.again(&ended) else { return ended };
        attempts.tell(ended);
        sleep(wait).await;
    }
}

/// A request, and what all its attempts share.
pub(crate) struct Errand {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) body: Replay,
    pub(crate) tried: Tried,
    pub(crate) random: u64,
    /// When all of it is cut.
    pub(crate) deadline: Option<Instant>,
    /// The time for the head of an answer, all attempts together.
    timeout: Duration,
    /// Gone once it has been sent, where it is sent only once.
    head: Mutex<Option<Parts>>,
    began: Instant,
    /// Where somebody wants to know whether the request has gone out.
    departed: Option<Departed>,
    /// Whether the policy sends requests again that may have arrived.
    pub(crate) repeats: bool,
    /// Whether the head is wanted again.
    keeps: bool,
    is_idempotent: bool,
    is_retried_elsewhere: bool,
    may_hedge: bool,
}

impl Errand {
    /// `may_refuse` says that a connection may turn a request away that was sent on it already, as those of HTTP/2 do.
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        request: Request<Body>,
        random: u64,
        timeout: Duration,
        deadline: Option<Instant>,
        may_refuse: bool,
    ) -> Self {
        let (head, body) = request.into_parts();
        let repeats = upstream.repeats();
        let is_known =
            head.headers.contains_key(IDEMPOTENCY_KEY) && head.extensions.get::<OwnKey>().is_none();
        let departed = head.extensions.get::<Departed>().cloned();
        let tried = Tried::counted(head.extensions.get::<AttemptCount>().cloned());
        let is_idempotent = head.method.is_idempotent() || is_known;
        let is_retried_elsewhere =
            is_retried_elsewhere(head.headers.get(ATTEMPT).map(HeaderValue::as_bytes), None);
        let is_safe = head.method.is_safe();
        let body = Replay::new(body, may_refuse || (repeats && is_idempotent && !is_retried_elsewhere));
        Self {
            may_hedge: repeats && is_safe && body.is_empty() && !is_retried_elsewhere,
            keeps: repeats || may_refuse,
            upstream,
            body,
            tried,
            random,
            deadline,
            timeout,
            head: Mutex::new(Some(head)),
            began: Instant::now(),
            departed,
            repeats,
            is_idempotent,
            is_retried_elsewhere,
        }
    }

    /// Something of the request may have arrived.
    pub(crate) fn depart(&self) {
        self.departed.iter().for_each(Departed::set);
    }

    /// What of an attempt may be worth another.
    pub(crate) fn cause<F>(&self, ended: &Ended<F>) -> Option<Cause> {
        match ended {
            Err(failed) => failed.cause,
            Ok(answered) => {
                let status = answered.response.status().as_u16();
                let cause = Cause::Status(status);
                let is_named =
                    status >= 400 && self.repeats && self.upstream.policy().retry.on.contains(&cause);
                is_named.then_some(cause)
            }
        }
    }

    /// The wait before another attempt, if there is to be one. It has been paid for then.
    fn again<F>(&self, ended: &Ended<F>) -> Option<Duration> {
        let cause = self.cause(ended)?;
        let is_replayable = self.body.is_replayable() && self.has_head();
        if (!self.repeats && cause != Cause::Connect) || !is_replayable {
            return None;
        }
        let headers = ended.as_ref().ok().map(|answered| answered.response.headers());
        let header = |name: HeaderName| headers.and_then(|headers| headers.get(name));
        let seconds = |value: &HeaderValue| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
        let attempts = header(ATTEMPT).map(HeaderValue::as_bytes);
        let attempt = Attempt {
            number: self.tried.count(),
            cause,
            is_idempotent: self.is_idempotent,
            is_replayable,
            left: Some(self.left()),
            retry_after: header(header::RETRY_AFTER).and_then(seconds),
            is_retried_elsewhere: self.is_retried_elsewhere || is_retried_elsewhere(None, attempts),
            random: self.random.rotate_left(self.tried.count() % 64),
        };
        match self.upstream.retry(&attempt) {
            Decision::Retry { after } => Some(after),
            Decision::GiveUp(why) => {
                tracing::debug!(service = &**self.upstream.service(), %cause, %why, "not sent again");
                None
            }
        }
    }

    /// Says on an answer how many attempts it took, where that matters to whoever might repeat it as well.
    pub(crate) fn mark(&self, response: &mut Response<Body>) {
        let attempts = self.tried.count();
        if self.repeats && attempts > 1 {
            response.headers_mut().insert(ATTEMPT, HeaderValue::from(attempts));
        }
    }

    /// The time for the head of an answer, all attempts together.
    pub(crate) fn left(&self) -> Duration {
        let left = self.timeout.saturating_sub(self.began.elapsed());
        let total = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        deadline::shorter(Some(left), total).unwrap_or_default()
    }

    /// How long one attempt may take to the head of its answer, where that is less than all of them have.
    pub(crate) fn per_try(&self) -> Option<Duration> {
        let policy = if self.repeats { Some(self.upstream.policy()) } else { None };
        policy?.retry.per_try_timeout.filter(|_| self.body.is_replayable())
    }

    /// Whether there is no time left.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|end| end <= Instant::now())
    }

    fn has_head(&self) -> bool {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The request as the next attempt sends it: as the step `trace` of its trace, and with `around` its body.
    pub(crate) fn request(
        &self,
        trace: Option<&HeaderValue>,
        around: impl FnOnce(Body) -> Body,
    ) -> Option<Request<Body>> {
        let body = self.body.body()?;
        let mut kept = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut head = if self.keeps { kept.clone() } else { kept.take() }?;
        drop(kept);
        if self.repeats {
            head.headers.insert(ATTEMPT, HeaderValue::from(self.tried.count().max(1)));
        }
        if let Some(trace) = trace {
            head.headers.insert(TRACE, trace.clone());
        }
        if let Some(end) = self.deadline {
            told(end.saturating_duration_since(Instant::now()), &mut head.headers);
        }
        Some(Request::from_parts(head, around(body)))
    }
}
