//! What goes along with a request that somebody wants to look into.
//!
//! ```text
//!  out    proof for the side that serves · intent of a write · copy of the request
//!  home   outcome of the write, fed in the same commit · copy of the answer for the shadow · links rewritten
//! ```

mod writes;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dozen_core::{Ids, chain};
use dozen_dataplane::{Around, Body, Context, Failure, Next, problem_document};
use dozen_strangler::compare::Answer;
use dozen_strangler::rewrite::{BodyRewriter, is_text};
use dozen_strangler::{Decision, Feature, Feed, Job, Primary, Reserved, Shadow, Side};
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::copy::{Copied, Done, Kept, Rewritten};
use super::login::{Crossing, Login};
use super::witness::{Rewriting, Underway};

/// What asks for a part of a body.
const PARTS: [HeaderName; 2] = [header::RANGE, header::IF_RANGE];
/// What speaks of the very bytes of a body.
const OF_BYTES: [HeaderName; 6] = [
    header::ETAG,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// What shall be done with one request.
pub(super) struct Plan {
    pub(super) feature: Arc<Feature>,
    pub(super) decision: Decision,
    pub(super) key: Option<String>,
    /// Bytes for its copy, if one is wanted.
    pub(super) reserved: Option<Reserved>,
    pub(super) crossing: Option<Crossing>,
    pub(super) login: Option<Arc<Login>>,
    pub(super) rewriting: Option<Arc<Rewriting>>,
    pub(super) feed: Option<(Feed, Side)>,
    /// Writes that may be on their way beside their clients; beyond, they end with them.
    pub(super) beside: Arc<Semaphore>,
    pub(super) shadow: Arc<Shadow>,
    pub(super) ids: Ids,
    /// What its witness knows of it, too.
    pub(super) underway: Arc<Underway>,
    /// Whether all of it is there.
    pub(super) is_whole: bool,
}

/// Does it.
pub(super) struct Escorting(Arc<Inner>);

struct Inner {
    plan: Plan,
    /// Bytes for a copy that is not made yet.
    reserved: Mutex<Option<Reserved>>,
}

/// What is known from the way out to the way home.
struct Sent {
    at: Instant,
    copy: Option<Copy>,
    is_head: bool,
}

/// A request for the side that watches.
struct Copy {
    head: http::request::Parts,
    body: Arc<Mutex<Option<Bytes>>>,
    reserved: Reserved,
}

impl Escorting {
    pub(super) fn new(mut plan: Plan) -> Self {
        let reserved = Mutex::new(plan.reserved.take());
        Self(Arc::new(Inner { plan, reserved }))
    }
}

impl Around for Escorting {
    fn around(
        &self,
        request: Request<Body>,
        next: Next,
        _: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let mut request = inner.shown(request).await;
            if inner.plan.rewriting.is_some() {
                // A part of a body whose links are others would be a part of another body.
                PARTS.iter().for_each(|name| drop(request.headers_mut().remove(name)));
            }
            if let Some((feed, to)) = inner.plan.feed.clone() {
                return match inner.gathered(to, request).await {
                    Ok((request, write)) => inner.written(feed, write, request, next).await,
                    Err(answer) => Ok(answer),
                };
            }
            let (request, sent) = inner.out(request);
            if inner.plan.is_whole {
                inner.plan.underway.waits();
            }
            match next.ask(request).await {
                Ok(answer) => Ok(inner.home(answer, sent)),
                Err(failure) => {
                    inner.missed(failure, sent);
                    Err(failure)
                }
            }
        })
    }
}

impl Inner {
    /// With the proof that the side which serves takes.
    async fn shown(&self, mut request: Request<Body>) -> Request<Body> {
        let plan = &self.plan;
        if let (Some(crossing), Some(side)) = (&plan.crossing, plan.decision.side())
            && let Err(unsent) = crossing.show(side, request.headers_mut()).await
        {
            // The side itself will say that nobody is logged in.
            tracing::warn!(
                feature = plan.feature.name(),
                error = chain(&unsent),
                "a login could not cross over"
            );
        }
        request
    }

    fn out(&self, request: Request<Body>) -> (Request<Body>, Sent) {
        let is_head = request.method() == Method::HEAD;
        let reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (request, copy) = match reserved {
            Some(reserved) => {
                let (request, copy) = self.copied(request, reserved);
                (request, Some(copy))
            }
            None => (request, None),
        };
        (request, Sent { at: Instant::now(), copy, is_head })
    }

    /// Keeps a copy of the request, as it passes.
    fn copied(&self, request: Request<Body>, reserved: Reserved) -> (Request<Body>, Copy) {
        let (head, body) = request.into_parts();
        let whole: Arc<Mutex<Option<Bytes>>> = Arc::default();
        let mut copy = head.clone();
        copy.extensions = http::Extensions::new();
        if let (Some(login), Some(side)) = (&self.plan.login, self.plan.decision.side())
            && let Some(crossing) = login.copied(side, &copy.headers)
        {
            copy.extensions.insert(crossing);
        }
        let copy = Copy { head: copy, body: whole.clone(), reserved };
        let done = Box::new(move |copied: Option<(Bytes, Option<Reserved>)>| {
            *whole.lock().unwrap_or_else(PoisonError::into_inner) = copied.map(|(bytes, _)| bytes);
        });
        let bytes_max = self.plan.feature.options().compare.body_max;
        let body = Copied::around(body, Kept::new(bytes_max, None), done);
        (Request::from_parts(head, body), copy)
    }

    /// An answer in the place of the service's.
    fn instead(&self, status: StatusCode, title: &str) -> Response<Body> {
        self.plan.underway.answers_here();
        let mut answer = Response::new(Body::from(problem_document(status.as_u16(), title)));
        *answer.status_mut() = status;
        let json = HeaderValue::from_static("application/problem+json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        answer
    }

    fn home(&self, answer: Response<Body>, sent: Sent) -> Response<Body> {
        let Sent { at, copy, is_head } = sent;
        let answer = match copy {
            Some(copy) => self.watched(answer, copy, at, is_head),
            None => answer,
        };
        self.rewritten(answer)
    }

    /// Offers the request to the shadow also where the side that serves gave no answer: whether the other one does is what
    /// tells a side that is down from a place where nobody answers.
    fn missed(&self, failure: Failure, sent: Sent) {
        let Some(Copy { head, body, reserved }) = sent.copy.filter(|_| is_of_service(failure)) else {
            return;
        };
        // Nobody reads it on any more.
        let Some(body) = body.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let (feature, decision) = (self.plan.feature.clone(), self.plan.decision);
        let (request, primary, took) = (Request::from_parts(head, body), Primary::Nothing, sent.at.elapsed());
        self.plan.shadow.offer(Job { feature, decision, request, primary, took, reserved });
    }

    /// Offers request and answer to the shadow once the client has all of it. Its head is here now, and that is how long it took:
    /// the client may be slow, and nobody is for whom a copy is made.
    fn watched(&self, answer: Response<Body>, copy: Copy, at: Instant, is_head: bool) -> Response<Body> {
        // Events are an answer without an end: nothing to compare, and bytes that others need.
        let kind = answer.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
            return answer;
        }
        let took = at.elapsed();
        let (head, body) = answer.into_parts();
        let mut kept = Response::new(());
        *kept.status_mut() = head.status;
        *kept.headers_mut() = head.headers.clone();
        let (feature, decision) = (self.plan.feature.clone(), self.plan.decision);
        let shadow = self.plan.shadow.clone();
        let Copy { head: asked, body: sent, reserved } = copy;
        let offer: Done = Box::new(move |copied| {
            let status = kept.status().as_u16();
            let Some(body) = sent.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
            let (primary, reserved) = match copied {
                Some((bytes, reserved)) => (Primary::Whole(kept.map(|()| bytes) as Answer), reserved),
                None => (Primary::Status(status), shadow.reserve(0)),
            };
            let Some(reserved) = reserved else { return };
            let request = Request::from_parts(asked, body);
            shadow.offer(Job { feature, decision, request, primary, took, reserved });
        });
        let bytes_max = self.plan.feature.options().compare.body_max;
        if is_head || matches!(head.status.as_u16(), 204 | 304) {
            offer(Some((Bytes::new(), Some(reserved))));
            return Response::from_parts(head, body);
        }
        let body = Copied::around(body, Kept::new(bytes_max, Some(reserved)), offer);
        Response::from_parts(head, body)
    }

    fn rewritten(&self, answer: Response<Body>) -> Response<Body> {
        let Some(rewriting) = &self.plan.rewriting else { return answer };
        let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_plain = text(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
        if !is_plain || !text(header::CONTENT_TYPE).is_some_and(is_text) || answer.body().is_end_stream() {
            return answer;
        }
        let (mut head, body) = answer.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        // They would be of another body.
        OF_BYTES.iter().for_each(|name| drop(head.headers.remove(name)));
        Response::from_parts(head, Rewritten::around(body, BodyRewriter::new(&rewriting.addresses)))
    }
}

/// Whether it is the service that gave no answer, and not its client that went away.
fn is_of_service(failure: Failure) -> bool {
    use Failure::{Broken, Connect, NoEndpoint, Refused, TimedOut};
    matches!(failure, NoEndpoint(_) | Connect | Broken | Refused(_) | TimedOut)
}
