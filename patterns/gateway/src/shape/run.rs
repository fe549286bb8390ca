//! Shaping at work on one exchange.

use std::sync::Arc;

use bytes::Bytes;
use dozen_dataplane::{Around, Body, Context, Failure, Next};
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};

use super::aside::aside;
use super::compress::{Wanted, media_type, weaken};
use super::document::{OF_BYTES, Trouble, decoded, gather};
use super::problem::Refused;
use super::stopped::Stopped;
use super::through::Unfit;
use super::{Given, Shaping};
use crate::cache::{self, Cache};

/// One exchange.
pub(super) struct Run {
    pub(super) shaping: Arc<Shaping>,
    pub(super) given: Given,
    cache: Option<Arc<Cache>>,
}

/// The service, its answers translated. Cloning it copies nothing.
#[derive(Clone)]
pub(crate) struct Origin {
    run: Arc<Run>,
    next: Next,
}

/// What stands around one exchange.
pub(super) struct Shaped(pub(super) Arc<Run>);

impl Around for Shaped {
    fn around(
        &self,
        request: Request<Body>,
        next: Next,
        _: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        let run = self.0.clone();
        Box::pin(run.answer(request, next))
    }
}

impl Run {
    pub(super) fn new(shaping: Arc<Shaping>, given: Given, cache: Option<Arc<Cache>>) -> Self {
        Self { shaping, given, cache }
    }

    async fn answer(self: Arc<Self>, request: Request<Body>, next: Next) -> Result<Response<Body>, Failure> {
        let wanted = Wanted::of(request.method(), request.headers());
        let translated = match self.admit(request).await {
            Ok(request) => self.translated(request).await,
            Err(stopped) => Err(stopped),
        };
        let answered = match translated {
            Ok((request, made)) => {
                let origin = Origin { run: self.clone(), next };
                match (&self.cache, &self.shaping.policy) {
                    (Some(cache), Some(policy)) => {
                        cache::answer(cache, policy, &self.given, origin, request, &made).await
                    }
                    _ => origin.ask(request).await,
                }
            }
            Err(Stopped::Refused(refused)) => Ok(refused.response()),
            Err(Stopped::Failed(failure)) => Err(failure),
        }?;
        Ok(match &self.shaping.compress {
            Some(compress) => compress.answer(&wanted, answered),
            None => answered,
        })
    }

    /// The request as the service gets it, and what a table has made of its headers.
    async fn translated(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<(Request<Body>, String), Stopped> {
        let (mut parts, body) = request.into_parts();
        if self.shaping.response.as_ref().is_some_and(|response| response.body.is_some()) {
            // What is translated is wanted whole, and as it is.
            for name in [header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE] {
                parts.headers.remove(name);
            }
        }
        let Some(rules) = &self.shaping.request else {
            return Ok((Request::from_parts(parts, body), String::new()));
        };
        let scope = rules.scope(&self.given, &self.shaping.names, &parts.headers);
        if let Some(query) = rules.query(&scope) {
            let query = query?;
            let path = parts.uri.path();
            let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
            parts.uri = Uri::try_from(target).map_err(|_| {
                Refused::new(StatusCode::BAD_REQUEST, "this request cannot be passed on as it is")
            })?;
        }
        let made = rules.headers(&scope, &mut parts.headers)?;
        let Some(through) = &rules.body else { return Ok((Request::from_parts(parts, body), made)) };
        let max = self.shaping.body_max;
        let bytes = gather(body, max).await?;
        let (run, weight) = (self.clone(), through.weight(&parts.headers, bytes.len(), max));
        let request = aside(weight, move || run.remade(parts, bytes)).await.map_err(Stopped::Failed)??;
        Ok((request, made))
    }

    /// The request with its body in the form that the service wants.
    fn remade(&self, mut parts: Parts, bytes: Bytes) -> Result<Request<Body>, Stopped> {
        let max = self.shaping.body_max;
        let through = self.shaping.request.as_ref().and_then(|rules| rules.body.as_ref());
        let Some(through) = through else { return Ok(Request::from_parts(parts, Body::from(bytes))) };
        let kind = media_type(&parts.headers);
        let bytes = decoded(bytes, &mut parts.headers, max)?;
        let needs_none =
            matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        if bytes.is_empty() && needs_none {
            return Ok(Request::from_parts(parts, Body::empty()));
        }
        if !through.takes(kind.as_deref()) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refused::new(status, "the body has a content type that is not taken here").into());
        }
        let stated = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let made = through.apply(&bytes, stated, max)?;
        parts.headers.insert(header::CONTENT_TYPE, through.content_type());
        OF_BYTES.iter().for_each(|name| drop(parts.headers.remove(name)));
        Ok(Request::from_parts(parts, Body::from(made)))
    }

    /// The answer as the client gets it.
    async fn answered(
        self: &Arc<Self>,
        method: &Method,
        response: Response<Body>,
    ) -> Result<Response<Body>, Trouble> {
        let Some(rules) = &self.shaping.response else { return Ok(response) };
        let (mut parts, mut body) = response.into_parts();
        let status = parts.status;
        parts.status = rules.status(status);
        let has_body = status.is_success() && !matches!(status.as_u16(), 204..=206);
        if let (Some(through), true) = (&rules.body, has_body) {
            if *method != Method::HEAD {
                let bytes = gather(body, rules.max).await?;
                let (run, weight) = (self.clone(), through.weight(&parts.headers, bytes.len(), rules.max));
                let mut headers = std::mem::take(&mut parts.headers);
                let work = move || run.made(&mut headers, bytes).map(|made| (headers, made));
                let made = aside(weight, work).await.map_err(Trouble::Ended)??;
                (parts.headers, body) = (made.0, Body::from(made.1));
            }
            parts.headers.insert(header::CONTENT_TYPE, through.content_type());
            OF_BYTES.iter().for_each(|name| drop(parts.headers.remove(name)));
            weaken(&mut parts.headers);
        }
        Ok(Response::from_parts(parts, body))
    }

    /// The body of an answer in the form that the client wants.
    fn made(&self, headers: &mut HeaderMap, bytes: Bytes) -> Result<Bytes, Trouble> {
        let rules = self.shaping.response.as_ref();
        let Some((through, max)) = rules.and_then(|rules| Some((rules.body.as_ref()?, rules.max))) else {
            return Ok(bytes);
        };
        let bytes = decoded(bytes, headers, max)?;
        let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let made = through.apply(&bytes, stated, max).map_err(|unfit| {
            let why = match &unfit {
                Unfit::Unread(why) => why,
                Unfit::Unexpected(flaw) => &flaw.detail,
            };
            tracing::debug!(why, path = %self.given.path, "a service's answer cannot be translated");
            Trouble::Broken
        })?;
        Ok(made.into())
    }
}

impl Origin {
    /// Asks the service. What that did wrong is an answer, too.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let method = request.method().clone();
        let response = self.next.ask(request).await?;
        match self.run.answered(&method, response).await {
            Ok(response) => Ok(response),
            Err(Trouble::Ended(failure)) => Err(failure),
            Err(_) => {
                let detail = "the service did not give an answer that can be passed on";
                Ok(Refused::new(StatusCode::BAD_GATEWAY, detail).response())
            }
        }
    }

    /// Does `work` beside the requests.
    pub(crate) fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.next.beside(work);
    }
}
