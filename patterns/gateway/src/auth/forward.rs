//! A service of the user's decides: it is shown the request's head, and its status says yes or no.
//!
//! 2xx lets the request pass, with the headers of the answer that the file names; its cookies reach the client, so that a
//! session can be renewed. 3xx and 4xx are passed on to the client
//! within limits: the status, a few headers that a login needs, and a bounded body. 5xx is no decision; the service counts as
//! unreachable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_core::chain;
use dozen_dataplane::{Body, Place};
use http::response::Parts;
use http::{HeaderValue, Method, header};
use tokio::sync::Semaphore;

use super::call::{Callers, Reach, exchange};
use super::guard::Check;
use super::options::OnUnreachable;
use super::{Identity, Passed, Reason, Refusal, View};
use crate::forwarded::trace_text;

/// Questions at one time.
pub(crate) const CALLS_MAX: usize = 1024;
/// Headers of a refusal that the client gets too.
const PASSED_ON: [&str; 5] = ["www-authenticate", "location", "set-cookie", "retry-after", "cache-control"];

/// The method `forward`.
pub(crate) struct Forward {
    pub(crate) name: Arc<str>,
    pub(crate) place: Place,
    /// Headers of the request that the service sees.
    pub(crate) shows: Vec<String>,
    /// Headers of its answer that the service behind sees.
    pub(crate) copies: Vec<Arc<str>>,
    pub(crate) timeout: Duration,
    pub(crate) body_max: usize,
    pub(crate) on_unreachable: OnUnreachable,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) reach: Reach,
}

impl Forward {
    /// Asks, for each request anew.
    pub(crate) fn check(self: &Arc<Self>, view: &View<'_>) -> Check {
        let Ok(permit) = self.calls.clone().try_acquire_owned() else {
            return Check::Now(Err(Refusal::busy()));
        };
        let (this, worker, question) = (self.clone(), view.worker, self.question(view));
        Check::Later(Box::pin(async move {
            let caller = this.callers.of(worker);
            let answer = exchange(caller, &this.place, question, this.body_max, this.timeout).await;
            drop(permit);
            let problem = match answer {
                Ok((head, body)) if !head.status.is_server_error() => {
                    this.reach.answered(&this.name);
                    return this.read(&head, body);
                }
                Ok((head, _)) => format!("it answered {}", head.status.as_u16()),
                Err(error) => chain(&error),
            };
            this.reach.failed(&this.name, &problem);
            this.on_unreachable.answer(&this.name)
        }))
    }

    fn question(&self, view: &View<'_>) -> http::Result<http::Request<Body>> {
        let target = match view.query {
            Some(query) => format!("{}?{query}", view.path),
            None => view.path.to_owned(),
        };
        let mut request = self
            .place
            .request(Method::GET)
            .header("x-forwarded-method", view.method)
            .header("x-forwarded-uri", target)
            .header("x-forwarded-proto", view.scheme)
            .header("x-forwarded-host", view.host)
            .header("x-forwarded-for", view.address.to_string());
        if let Some(trace) = &view.trace {
            request = request.header("traceparent", &trace_text(trace)[..]);
        }
        for name in &self.shows {
            for field in view.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)) {
                request = request.header(name, HeaderValue::from_bytes(field.value)?);
            }
        }
        request.body(Body::empty())
    }

    fn read(&self, head: &Parts, body: Bytes) -> Result<Arc<Identity>, Refusal> {
        let all = |name: &str| -> Vec<String> {
            let values = head.headers.get_all(name).iter();
            values.filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect()
        };
        if head.status.is_success() {
            let copied =
                self.copies.iter().flat_map(|name| all(name).into_iter().map(|value| (name.clone(), value)));
            let fields = copied.collect();
            let cookies = all(header::SET_COOKIE.as_str());
            return Ok(Arc::new(Identity { fields, cookies, ..Identity::by(&self.name) }));
        }
        let mut refusal = Refusal::of(Reason::Forbidden);
        refusal.status = head.status.as_u16();
        for name in PASSED_ON {
            refusal.fields.extend(all(name).into_iter().map(|value| (name, value)));
        }
        let content_type = all(header::CONTENT_TYPE.as_str()).into_iter().next();
        refusal.body = Some(Passed { content_type, bytes: body }).filter(|body| !body.bytes.is_empty());
        Err(refusal)
    }
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("name", &self.name).finish_non_exhaustive()
    }
}
