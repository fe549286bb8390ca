//! A write that is fed to the other side: its intent is noted before it is sent, and its outcome before the client hears
//! of it.
//!
//! It goes out beside its client once all of it is there: a client that goes away does not leave one behind of which
//! nobody knows how it ended.

use std::sync::Arc;

use dozen_core::chain;
use dozen_dataplane::{Body, Departed, Error, Failure, Next, OwnKey};
use dozen_strangler::{Feed, Side, Write, cohort};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::sync::oneshot;

use super::Inner;

/// Bytes of a write that is fed.
const WRITE_MAX: usize = 1024 * 1024;
/// Bytes of a key that is kept in full.
const KEY_MAX: usize = 255;
/// The header that names a write.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Inner {
    /// The whole of a write. It reaches the other side through the feed, so nothing is copied for the shadow.
    pub(super) async fn gathered(
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
        let shown = match head.headers.get(IDEMPOTENCY_KEY).map(|value| value.to_str()) {
            None => None,
            Some(Ok(key)) if (1..=KEY_MAX).contains(&key.len()) => Some(key),
            // One that is not kept in full could not tell its write from another.
            Some(_) => {
                let title = "an idempotency key is 1 to 255 visible ASCII characters";
                return Err(self.instead(StatusCode::BAD_REQUEST, title));
            }
        };
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
            key: self.order(),
            to,
            method: head.method.to_string(),
            target,
            headers: matter(&head.headers),
            body: body.clone(),
            look,
        };
        Ok((Request::from_parts(head, body.into()), write))
    }

    /// What its write is in order with: the feature's key, or what stands for one that is long.
    fn order(&self) -> String {
        let Some(key) = &self.plan.key else { return String::new() };
        match key.len() <= KEY_MAX {
            true => key.clone(),
            false => format!("{:016x}", cohort::point(self.plan.feature.name(), key)),
        }
    }

    /// Sends a write, and sees it through also if its client does not wait for its answer.
    pub(super) async fn written(
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
        mut request: Request<Body>,
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
        let departed = Departed::default();
        request.extensions_mut().insert(departed.clone());
        self.plan.underway.waits();
        let answer = match next.ask(request).await {
            Ok(answer) => answer,
            Err(failure) => {
                // Where nobody has heard of it there is nothing to settle. All else may have happened.
                let is_unheard = matches!(failure, Failure::Connect | Failure::NoEndpoint(_));
                if is_unheard && !departed.is_set() {
                    self.ended(&feed, &write, false).await;
                }
                return Err(failure);
            }
        };
        let made = answer.headers().get(header::LOCATION).cloned();
        self.outcome(&feed, write, answer.status(), made).await;
        Ok(self.rewritten(answer))
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
        self.ended(feed, &write, !status.is_client_error()).await;
    }

    async fn ended(&self, feed: &Feed, write: &Write, took: bool) {
        if let Err(error) = feed.end(write, took).await {
            let (feature, id) = (self.plan.feature.name(), &write.id);
            tracing::error!(
                feature,
                id,
                error = chain(&error),
                "a write is not ended, and shows as unsettled"
            );
        }
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
