//! A composition at work on one request.
//!
//! Everything happens in one future: the calls that are under way, and what waits for them. There is no task to be lost:
//! dropping the future, or leaving it because a required call failed, drops the calls, and with each its connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::framing::Refusal;
use dozen_dataplane::resilience::deadline;
use dozen_dataplane::{AttemptCount, Body, Context, Error, Serve, Step as _};
use dozen_mapping::Value;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::exchange::{Answer, Bounds, Budget, ask, read};
use super::plan::Plan;
use super::reply::{self, Gathered};
use super::scope::{Given, Known};
use super::status::Failure;
use crate::auth::Callers;
use crate::forwarded::trace_text;
use crate::spans::Recording;

/// Headers that every call is sent with, because they say where the request comes from.
const ALWAYS: [&str; 4] = ["tracestate", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// The part of the client's time that is kept to put the answer together and to send it: a twentieth, and at most so much.
const RESERVE_MAX: Duration = Duration::from_millis(20);

/// One request that is answered from several services.
pub(crate) struct Composition(Arc<Run>);

struct Run {
    plan: Arc<Plan>,
    given: Given,
    callers: Arc<Callers>,
    ids: Ids,
    recording: Option<Arc<Recording>>,
    attempts: AttemptCount,
}

impl Composition {
    pub(crate) fn new(plan: Arc<Plan>, given: Given, callers: Arc<Callers>, ids: Ids) -> Self {
        let attempts = AttemptCount::default();
        Self(Run { plan, given, callers, ids, recording: None, attempts }.into())
    }

    /// The same, with a step of the request's trace for each call.
    pub(crate) fn recorded(mut self, recording: Option<Arc<Recording>>) -> Self {
        if let Some(run) = Arc::get_mut(&mut self.0) {
            run.recording = recording;
        }
        self
    }

    /// Counts the attempts of all its calls.
    pub(crate) fn attempts(&self) -> AttemptCount {
        self.0.attempts.clone()
    }
}

impl Serve for Composition {
    fn serve(&self, request: Request<Body>, context: Context) -> BoxFuture<'static, Response<Body>> {
        let run = self.0.clone();
        Box::pin(async move { run.answer(request, context).await })
    }
}

/// What all calls of one request have in common.
struct Errand<'e> {
    worker: usize,
    headers: &'e HeaderMap,
    trace: Option<TraceContext>,
    until: Instant,
    /// Whether that is sooner than it would be because of the client.
    is_hurried: bool,
    budget: Budget,
}

impl Run {
    async fn answer(&self, request: Request<Body>, context: Context) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (until, mut is_hurried) = self.until(&parts.headers, &context);
        let body = match self.plan.takes_body {
            true => match timeout_at(until, self.body(body)).await {
                Ok(Ok(body)) => Some(body),
                Ok(Err(status)) => {
                    return reply::problem(status, "the body of the request cannot be used", &[]);
                }
                Err(_) => {
                    let status = StatusCode::REQUEST_TIMEOUT;
                    return reply::problem(status, "the body of the request did not come in time", &[]);
                }
            },
            false => None,
        };
        // A client that sends slowly takes the time away from those who are asked then.
        let now = Instant::now();
        let (used, left) = (now - Instant::from_std(context.started), until.saturating_duration_since(now));
        is_hurried |= used > left;
        let trace = parts.headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok());
        let errand = Errand {
            worker: context.worker,
            headers: &parts.headers,
            trace,
            until,
            is_hurried,
            budget: Budget::new(self.plan.sum_max),
        };
        match self.gather(&errand, body.as_ref()).await {
            Ok(mut gathered) => {
                let results = std::mem::take(&mut gathered.results);
                let known = Known { given: &self.given, results: &results, body: body.as_ref() };
                reply::whole(&self.plan, &mut gathered, known)
            }
            Err((at, failure)) => reply::failed(&self.plan, at, failure),
        }
    }

    /// When the last call has to have ended: by the file, before the request is cut, and by what the client says; and
    /// whether the client is the one that says it.
    fn until(&self, headers: &HeaderMap, context: &Context) -> (Instant, bool) {
        let started = Instant::from_std(context.started);
        let mut until = started + self.plan.deadline;
        if let Some(cut) = context.deadline.map(Instant::from_std) {
            let reserve = (cut.saturating_duration_since(Instant::now()) / 20).min(RESERVE_MAX);
            until = until.min(cut - reserve);
        }
        let sent = deadline::read(headers.get(deadline::HEADER).map(HeaderValue::as_bytes), None);
        let wished = sent.and_then(|given| started.checked_add(given)).filter(|wished| *wished < until);
        (wished.unwrap_or(until), wished.is_some())
    }

    /// The document that the client sent.
    async fn body(&self, body: Body) -> Result<Value, StatusCode> {
        let bytes = body.collect(self.plan.sum_max).await.map_err(|error| match error {
            Error::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Body { source } => {
                let status = source.downcast_ref::<Refusal>().map(|refusal| refusal.status());
                status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            _ => StatusCode::BAD_REQUEST,
        })?;
        match read(&bytes, self.plan.sum_max) {
            Ok(Value::Null) | Err(_) => Err(StatusCode::BAD_REQUEST),
            Ok(document) => Ok(document),
        }
    }

    /// Makes the calls, each as soon as what it refers to is there. An error is the first call that failed without which
    /// there is no answer; what was under way then is dropped.
    async fn gather(&self, errand: &Errand<'_>, body: Option<&Value>) -> Result<Gathered, (usize, Failure)> {
        let calls = &self.plan.calls;
        let mut gathered = Gathered::new(calls.len());
        let mut awaited: Vec<usize> = calls.iter().map(|call| call.waits_for.len()).collect();
        let mut startable: Vec<usize> = (0..calls.len()).filter(|at| awaited[*at] == 0).collect();
        let mut under_way = FuturesUnordered::new();
        loop {
            let (at, ended) = if let Some(at) = startable.pop() {
                let known = Known { given: &self.given, results: &gathered.results, body };
                match calls[at].request(known, self.passed(errand)) {
                    Ok(request) => {
                        under_way.push(self.call(at, request, errand));
                        continue;
                    }
                    Err(failure) => (at, Err(failure)),
                }
            } else {
                match under_way.next().await {
                    Some(ended) => ended,
                    None => return Ok(gathered),
                }
            };
            match ended {
                Ok(Answer { status, headers, value }) => {
                    gathered.results[at] = Some(value);
                    gathered.heads[at] = Some((status, headers));
                }
                Err(failure) => {
                    gathered.results[at] = calls[at].need.stands_in(failure).ok_or((at, failure))?;
                    gathered.missing.push((at, failure));
                }
            }
            for next in &self.plan.waiters[at] {
                awaited[*next] -= 1;
                if awaited[*next] == 0 {
                    startable.push(*next);
                }
            }
        }
    }

    async fn call(
        &self,
        at: usize,
        mut request: Request<Bytes>,
        errand: &Errand<'_>,
    ) -> (usize, Result<Answer, Failure>) {
        let call = &self.plan.calls[at];
        let now = Instant::now();
        let own = call.timeout.and_then(|timeout| now.checked_add(timeout));
        let own = own.filter(|own| *own < errand.until);
        let (until, is_hurried) = own.map_or((errand.until, errand.is_hurried), |own| (own, false));
        let mut left = Vec::new();
        deadline::write(until.saturating_duration_since(now), &mut left);
        if let Ok(left) = HeaderValue::from_maybe_shared(Bytes::from(left)) {
            request.headers_mut().insert(HeaderName::from_static(deadline::HEADER), left);
        }
        request.extensions_mut().insert(self.attempts.clone());
        let bounds = Bounds { until, is_hurried, answer_max: call.answer_max, budget: &errand.budget };
        let caller = self.callers.of(errand.worker);
        let step = self.recording.as_ref().map(|recording| recording.call(request.method()));
        if let Some(step) = &step {
            request.headers_mut().insert(HeaderName::from_static("traceparent"), step.traceparent());
        }
        let answered = ask(caller, self.plan.service(at), request, bounds).await;
        if let Some(step) = step {
            let how = match &answered {
                Ok(answer) => Ok(answer.status.as_u16()),
                Err(Failure::Answered(status)) => Ok(status.as_u16()),
                Err(failure) => Err(failure.kind()),
            };
            step.told(Some(&call.service), None, how);
        }
        (at, answered)
    }

    /// Headers of the request that a call is sent with, and the next step of its trace.
    fn passed(&self, errand: &Errand<'_>) -> HeaderMap {
        let mut passed = HeaderMap::new();
        passed.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let always = ALWAYS.iter().map(|name| HeaderName::from_static(name));
        for name in always.chain(self.plan.pass.iter().cloned()) {
            passed.remove(&name);
            for value in errand.headers.get_all(&name) {
                passed.append(name.clone(), value.clone());
            }
        }
        let trace = errand.trace.map_or_else(|| TraceContext::start(&self.ids), |sent| sent.child(&self.ids));
        if let Ok(trace) = HeaderValue::from_bytes(&trace_text(&trace)) {
            passed.insert(HeaderName::from_static("traceparent"), trace);
        }
        passed
    }
}
