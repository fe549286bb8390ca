//! A service of the user's decides: it is shown the request's head, and its status says yes or no.
//!
//! 2xx lets the request pass, with the headers of the answer that the file names. 3xx and 4xx are passed on to the client
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
            return Check::refused(Reason::Busy);
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
            .header("x-forwarded-host", view.host)
            .header("x-forwarded-for", view.address.to_string());
        for name in &self.shows {
            for field in view.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)) {
                request = request.header(name, HeaderValue::from_bytes(field.value)?);
            }
        }
        request.body(Body::empty())
    }

    fn read(&self, head: &Parts, body: Bytes) -> Result<Arc<Identity>, Refusal> {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        if head.status.is_success() {
            let copied = self.copies.iter().filter_map(|name| Some((name.clone(), text(name)?.to_owned())));
            let fields = copied.collect();
            return Ok(Arc::new(Identity { fields, ..Identity::by(&self.name) }));
        }
        let mut refusal = Refusal::of(Reason::Forbidden);
        refusal.status = head.status.as_u16();
        for name in PASSED_ON {
            for value in head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
                refusal.fields.push((name, value.to_owned()));
            }
        }
        let content_type = text(header::CONTENT_TYPE.as_str()).map(str::to_owned);
        refusal.body = Some(Passed { content_type, bytes: body }).filter(|body| !body.bytes.is_empty());
        Err(refusal)
    }
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("name", &self.name).finish_non_exhaustive()
    }
}
