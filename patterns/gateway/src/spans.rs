//! What is kept of a request for its trace.
//!
//! ```text
//!  client's step ─► the request (server) ─┬─► an attempt (client) ─► the service's own steps
//!                                         ├─► another, because that failed or took long
//!                                         └─► or each call of a composition
//! ```
//!
//! Whether a trace is kept is decided once, by who began it or by the recorder, and passed on. A request of which nothing is kept
//! makes nothing here. Names and attributes are those of OpenTelemetry's conventions for HTTP; queries, headers and bodies are
//! not among them, because secrets are in these.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dozen_core::span::{Attribute, Recorder, Side, Span};
use dozen_core::{Ids, Timestamp, TraceContext};
use dozen_dataplane::framing::Refusal;
use dozen_dataplane::{Failure, Incoming, Outcome, Step, Trail};
use http::HeaderValue;

use crate::asked::Asked;
use crate::forwarded::trace_text;
use crate::path::PathMatch;

/// Longer texts of a client's are cut.
const TEXT_MAX: usize = 1024;
/// The methods that have names in the conventions; any other could be any text.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// A request that is kept.
pub(crate) struct Recording {
    recorder: Arc<dyn Recorder>,
    ids: Ids,
    trace: TraceContext,
    parent: Option<u64>,
    began: Timestamp,
    method: &'static str,
    attributes: Vec<(&'static str, Attribute)>,
    /// The step that is sent on where there is one attempt.
    only: TraceContext,
    attempts: AtomicU32,
}

/// The step of a request, and what of its trace is sent on.
pub(crate) struct Begun {
    pub(crate) trace: TraceContext,
    pub(crate) passed: TraceContext,
    pub(crate) recording: Option<Arc<Recording>>,
}

impl Begun {
    /// `sent` is the step of the client, if it told one.
    pub(crate) fn new(
        recorder: Option<&Arc<dyn Recorder>>,
        ids: &Ids,
        sent: Option<TraceContext>,
        request: &Incoming<'_>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Self {
        let mut trace = sent.map_or_else(|| TraceContext::start(ids), |sent| sent.child(ids));
        let sampled =
            |recorder: &Arc<dyn Recorder>| recorder.samples(trace.trace_id, sent.map(|sent| sent.sampled));
        let kept = match recorder.map(|recorder| (recorder, sampled(recorder))) {
            Some((recorder, Some(true))) => recorder,
            Some((_, Some(false))) => {
                trace.sampled = false;
                return Self { trace, passed: trace, recording: None };
            }
            _ => return Self { trace, passed: trace, recording: None },
        };
        trace.sampled = true;
        let only = trace.child(ids);
        let method = METHODS.into_iter().find(|known| *known == asked.method).unwrap_or("_OTHER");
        let (host, port) = place(asked.host);
        let mut attributes = vec![
            ("http.request.method", method.into()),
            ("url.scheme", asked.scheme.into()),
            ("url.path", cut(asked.path).into()),
            ("server.address", cut(host).into()),
            ("client.address", asked.address.to_string().into()),
        ];
        attributes.extend(port.map(|port| ("server.port", port.into())));
        let agent = request.field("user-agent").and_then(|agent| std::str::from_utf8(agent).ok());
        attributes.extend(agent.map(|agent| ("user_agent.original", cut(agent).into())));
        let recording = Recording {
            recorder: kept.clone(),
            ids: ids.clone(),
            trace,
            parent: sent.map(|sent| sent.parent_id),
            began: now,
            method,
            attributes,
            only,
            attempts: AtomicU32::new(0),
        };
        Self { trace, passed: only, recording: Some(Arc::new(recording)) }
    }
}

/// What is known of a request at its end.
pub(crate) struct End<'e> {
    /// The route that took it, and its paths.
    pub(crate) route: Option<(&'e str, &'e PathMatch)>,
    pub(crate) service: Option<&'e str>,
    pub(crate) consumer: Option<&'e str>,
    pub(crate) outcome: &'e Outcome<'e>,
}

impl Recording {
    /// Keeps the request, and the one attempt that nobody has told of.
    pub(crate) fn end(&self, end: &End<'_>) {
        let End { route, service, consumer, outcome } = *end;
        if let (0, Some(address)) = (self.attempts.load(Ordering::Relaxed), outcome.address) {
            let how = outcome.failure.map_or(Ok(outcome.status), Err);
            let sent =
                Sent { by: self.by(), step: self.only, number: 1, began: self.began, method: self.method };
            sent.keep(service, Some(address), how);
        }
        let mut attributes = self.attributes.clone();
        let template = route.and_then(|(_, path)| path.template());
        attributes.extend(template.iter().map(|path| ("http.route", path.clone().into())));
        attributes.extend(route.map(|(name, _)| ("dozen.route", name.to_owned().into())));
        attributes.extend(consumer.map(|consumer| ("dozen.consumer", consumer.to_owned().into())));
        attributes.push(("http.response.status_code", outcome.status.into()));
        attributes.push(("http.request.body.size", outcome.bytes_in.into()));
        attributes.push(("http.response.body.size", outcome.bytes_out.into()));
        let is_failed = outcome.status >= 500;
        if is_failed || outcome.failure.is_some() {
            let kind = outcome.failure.map(kind).map(Attribute::from);
            attributes.push(("error.type", kind.unwrap_or_else(|| outcome.status.to_string().into())));
        }
        self.recorder.record(Span {
            trace: self.trace,
            parent: self.parent,
            side: Side::Server,
            name: template.map_or_else(|| self.method.to_owned(), |path| format!("{} {path}", self.method)),
            began: self.began,
            took: outcome.elapsed,
            is_failed,
            attributes,
        });
    }

    fn by(&self) -> By {
        By { recorder: self.recorder.clone(), ids: self.ids.clone(), parent: self.trace.parent_id }
    }

    /// A call of a composition begins.
    pub(crate) fn call(&self, method: &http::Method) -> Sent {
        let method = METHODS.into_iter().find(|known| method == known).unwrap_or("_OTHER");
        self.step(1, method)
    }

    fn step(&self, number: u32, method: &'static str) -> Sent {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let began = self.ids.clock().now();
        Sent { by: self.by(), step: self.trace.child(&self.ids), number, began, method }
    }
}

impl Trail for Recording {
    fn begin(&self, attempt: u32) -> Box<dyn Step> {
        Box::new(self.step(attempt, self.method))
    }
}

struct By {
    recorder: Arc<dyn Recorder>,
    ids: Ids,
    parent: u64,
}

/// A question on its way.
pub(crate) struct Sent {
    by: By,
    step: TraceContext,
    number: u32,
    began: Timestamp,
    method: &'static str,
}

impl Step for Sent {
    fn traceparent(&self) -> HeaderValue {
        // Its text is hexadecimal digits and hyphens.
        HeaderValue::from_bytes(&trace_text(&self.step)).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn ended(self: Box<Self>, address: Option<&str>, how: Result<u16, Failure>) {
        self.keep(None, address, how);
    }
}

impl Sent {
    fn keep(&self, service: Option<&str>, address: Option<&str>, how: Result<u16, Failure>) {
        self.told(service, address, how.map_err(kind));
    }

    /// It is over: answered with this status, or failed in this way.
    pub(crate) fn told(&self, service: Option<&str>, address: Option<&str>, how: Result<u16, &'static str>) {
        let mut attributes = vec![("http.request.method", self.method.into())];
        attributes.extend(service.map(|service| ("dozen.service", service.to_owned().into())));
        if let Some(address) = address {
            let (host, port) = place(address);
            attributes.push(("server.address", host.to_owned().into()));
            attributes.extend(port.map(|port| ("server.port", port.into())));
        }
        if self.number > 1 {
            attributes.push(("http.request.resend_count", u64::from(self.number - 1).into()));
        }
        attributes.extend(how.ok().map(|status| ("http.response.status_code", status.into())));
        let is_failed = how.map_or(true, |status| status >= 400);
        if is_failed {
            let kind = how.map_or_else(Attribute::from, |status| status.to_string().into());
            attributes.push(("error.type", kind));
        }
        self.by.recorder.record(Span {
            trace: self.step,
            parent: Some(self.by.parent),
            side: Side::Client,
            name: self.method.to_owned(),
            began: self.began,
            took: self.by.ids.clock().now().since(self.began),
            is_failed,
            attributes,
        });
    }
}

/// A failure in few words of which there are few.
fn kind(failure: Failure) -> &'static str {
    match failure {
        Failure::NoEndpoint(_) => "unavailable",
        Failure::Connect => "connect",
        Failure::Broken => "reset",
        Failure::Refused(_) => "malformed-answer",
        Failure::TimedOut => "timeout",
        Failure::NoTime => "client-deadline",
        Failure::Idle => "idle",
        Failure::Request(Refusal::BodyTooLarge) => "body-too-large",
        Failure::Request(_) => "malformed-request",
        Failure::ClientGone => "client-gone",
        Failure::Cutoff => "route-gone",
        Failure::Stopped => "stopped",
    }
}

/// Host and port of an authority.
fn place(authority: &str) -> (&str, Option<u16>) {
    let port = authority.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    port.map_or((authority, None), |(host, port)| (host, Some(port)))
}

fn cut(text: &str) -> String {
    text.char_indices().take_while(|(at, _)| *at < TEXT_MAX).map(|(_, character)| character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        assert_eq!(place("shop.example"), ("shop.example", None));
        assert_eq!(place("shop.example:8080"), ("shop.example", Some(8080)));
        assert_eq!(place("[::1]:80"), ("[::1]", Some(80)));
        assert_eq!(place("[::1]"), ("[::1]", None));
        assert_eq!((cut(&"é".repeat(TEXT_MAX)).len(), cut("a")), (TEXT_MAX, "a".to_owned()));
    }
}
