//! What goes along with a request that somebody wants to look into.
//!
//! ```text
//!  out    proof for the side that serves · intent of a write · copy of the request
//!  home   outcome of the write, fed in the same commit · copy of the answer for the shadow · links rewritten
//! ```
//!
//! A write goes out beside its client once all of it is there: a client that goes away does not leave one behind of which
//! nobody knows how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dozen_core::{Ids, chain};
use dozen_dataplane::{Around, Body, Context, Error, Failure, Next, OwnKey, problem_document};
use dozen_strangler::compare::Answer;
use dozen_strangler::rewrite::{BodyRewriter, is_text};
use dozen_strangler::{Decision, Feature, Feed, Job, Primary, Reserved, Shadow, Side, Write};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use super::copy::{Copied, Done, Kept, Rewritten};
use super::login::{Crossing, Login};
use super::witness::Rewriting;

/// Bytes of a write that is fed.
const WRITE_MAX: usize = 1024 * 1024;
/// The header that names a write.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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
}

/// Does it.
pub(super) struct Escorting(Arc<Inner>);

struct Inner {
    plan: Plan,
    answered_here: Arc<AtomicBool>,
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
        Self(Arc::new(Inner { plan, answered_here: Arc::default(), reserved }))
    }

    /// Whether it has answered in the place of the service.
    pub(super) fn answered_here(&self) -> Arc<AtomicBool> {
        self.0.answered_here.clone()
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
            let request = inner.shown(request).await;
            if let Some((feed, to)) = inner.plan.feed.clone() {
                return match inner.gathered(to, request).await {
                    Ok((request, write)) => inner.written(feed, write, request, next).await,
                    Err(answer) => Ok(answer),
                };
            }
            let (request, sent) = inner.out(request);
            Ok(inner.home(next.ask(request).await?, sent))
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

    /// The whole of a write. It reaches the other side through the feed, so nothing is copied for the shadow.
    async fn gathered(
        &self,
        to: Side,
        request: Request<Body>,
    ) -> Result<(Request<Body>, Write), Response<Body>> {
        let (mut head, body) = request.into_parts();
        let body = match body.collect(WRITE_MAX).await {
            Ok(body) => body,
            Err(Error::BodyTooLarge { .. }) => {
                return Err(
                    self.instead(StatusCode::PAYLOAD_TOO_LARGE, "a write to two systems is 1 MiB at most")
                );
            }
            Err(_) => {
                return Err(
                    self.instead(StatusCode::BAD_REQUEST, "the body of the request did not come whole")
                );
            }
        };
        let shown = head.headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
        let id = shown.map_or_else(|| self.plan.ids.next().to_string(), str::to_owned);
        if shown.is_none() {
            head.extensions.insert(OwnKey);
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            head.headers.insert(IDEMPOTENCY_KEY, value);
        }
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let look = (head.method != Method::POST).then(|| head.uri.path().to_owned());
        let write = Write {
            id,
            key: self.plan.key.clone().unwrap_or_default(),
            to,
            method: head.method.to_string(),
            target,
            headers: matter(&head.headers),
            body: body.clone(),
            look,
        };
        Ok((Request::from_parts(head, body.into()), write))
    }

    /// Sends a write, and sees it through also if its client does not wait for its answer.
    async fn written(
        self: Arc<Self>,
        feed: Feed,
        write: Write,
        request: Request<Body>,
        next: Next,
    ) -> Result<Response<Body>, Failure> {
        let work = self.clone().noted(feed, write, request, next.clone());
        let Ok(permit) = self.plan.beside.clone().try_acquire_owned() else { return work.await };
        let (tell, told) = oneshot::channel();
        next.beside(async move {
            // Nobody hears it when the client has gone.
            let _ = tell.send(work.await);
            drop(permit);
        });
        told.await.unwrap_or(Err(Failure::Stopped))
    }

    /// Notes that a write is about to be sent, sends it, and notes what became of it.
    async fn noted(
        self: Arc<Self>,
        feed: Feed,
        write: Write,
        request: Request<Body>,
        next: Next,
    ) -> Result<Response<Body>, Failure> {
        match feed.begin(&write).await {
            Ok(true) => {}
            Ok(false) => {
                let title = "a write of this idempotency key is under way, or nobody knows how it ended";
                return Ok(self.instead(StatusCode::CONFLICT, title));
            }
            Err(error) => {
                let feature = self.plan.feature.name();
                tracing::error!(feature, error = chain(&error), "a write is refused");
                let title = "the write cannot be noted at the moment";
                return Ok(self.instead(StatusCode::SERVICE_UNAVAILABLE, title));
            }
        }
        let answer = next.ask(request).await?;
        let made = answer.headers().get(header::LOCATION).cloned();
        self.outcome(&feed, write, answer.status(), made).await;
        Ok(self.rewritten(answer))
    }

    /// An answer in the place of the service's.
    fn instead(&self, status: StatusCode, title: &str) -> Response<Body> {
        self.answered_here.store(true, Ordering::Relaxed);
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

    /// Notes what became of a write, before the client hears of it.
    async fn outcome(&self, feed: &Feed, mut write: Write, status: StatusCode, made: Option<HeaderValue>) {
        if status.is_server_error() {
            let (feature, id) = (self.plan.feature.name(), write.id);
            return tracing::warn!(feature, id, %status, "nobody knows whether a write has happened");
        }
        let made = made.as_ref().and_then(|value| value.to_str().ok());
        let made = made.filter(|path| path.starts_with('/') && !path.starts_with("//"));
        write.look = write.look.or_else(|| made.map(str::to_owned));
        if let Err(error) = feed.end(&write, !status.is_client_error()).await {
            let (feature, id) = (self.plan.feature.name(), write.id);
            tracing::error!(feature, id, error = chain(&error), "a write is not fed, and shows as unsettled");
        }
    }

    /// Offers request and answer to the shadow once the client has all of it.
    fn watched(&self, answer: Response<Body>, copy: Copy, at: Instant, is_head: bool) -> Response<Body> {
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
            shadow.offer(Job { feature, decision, request, primary, took: at.elapsed(), reserved });
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
        // It would be another system's answer.
        head.headers.remove(header::ETAG);
        Response::from_parts(head, Rewritten::around(body, BodyRewriter::new(&rewriting.addresses)))
    }
}

/// Headers of a write that the other side must see. Credentials are none of them: they would stand in the store.
fn matter(headers: &HeaderMap) -> Vec<(String, String)> {
    let matters = |name: &str| {
        matches!(name, "content-type" | "content-language" | "content-encoding" | "accept")
            || (name.starts_with("dozen-") && name != "dozen-feature")
            || name == "traceparent"
    };
    let pairs = headers.iter().filter(|(name, _)| matters(name.as_str()));
    pairs.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}
