//! A request that may be answered from the cache.

use std::sync::Arc;

use dozen_dataplane::{Body, Failure};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;

use super::bring::Brought;
use super::directives::Directives;
use super::flight::Boarding;
use super::key;
use super::policy::Policy;
use super::rules::{Use, Usual, invalidates, is_failure, is_for_cache, is_known};
use super::said::{Cached, say};
use super::store::{Cache, Kept};
use crate::shape::{Given, Origin, problem};

/// Answers from the cache, or from the service by way of it.
pub(crate) async fn answer(
    cache: &Arc<Cache>,
    policy: &Policy,
    given: &Given,
    origin: Origin,
    mut request: Request<Body>,
    made: &str,
) -> Result<Response<Body>, Failure> {
    let key = key::key(policy, given, given.at, request.uri(), request.headers(), made);
    // What a request with a body is answered may depend on that, and a copy is not known by it.
    let is_bodiless = request.body().is_end_stream() || request.body().size_hint().exact() == Some(0);
    if !is_bodiless || !is_for_cache(request.method(), request.headers()) {
        let (method, uri, headers) =
            (request.method().clone(), request.uri().clone(), request.headers().clone());
        let mut response = origin.ask(request).await?;
        if invalidates(&method, response.status()) {
            (0..given.services.max(1))
                .for_each(|at| cache.forget(&key::key(policy, given, at, &uri, &headers, made)));
            key::forget(cache, given, &response);
        }
        cache.count(Cached::Bypass);
        say(&mut response, Cached::Bypass, None, false);
        return Ok(response);
    }
    // One copy for all, in the form that has none; it is compressed for each client as it wants it.
    request.headers_mut().remove(header::ACCEPT_ENCODING);
    let (parts, _) = request.into_parts();
    let lookup = Lookup {
        cache: cache.clone(),
        usual: policy.usual,
        entry_max: policy.entry_max,
        key,
        is_personal: given.is_personal,
        asked: Directives::of_request(&parts.headers),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        origin,
    };
    Arc::new(lookup).run().await
}

/// One request on its way through the cache.
pub(super) struct Lookup {
    pub(super) cache: Arc<Cache>,
    pub(super) usual: Usual,
    pub(super) entry_max: usize,
    pub(super) key: Arc<str>,
    pub(super) is_personal: bool,
    pub(super) asked: Directives,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) origin: Origin,
}

impl Lookup {
    async fn run(self: Arc<Self>) -> Result<Response<Body>, Failure> {
        let mut has_waited = false;
        loop {
            let found = self.cache.find(&self.key, &self.headers).filter(|_| !self.asked.no_store);
            let found = found.filter(|kept| !self.is_personal || shares(kept));
            if let Some(kept) = &found {
                match kept.freshness.serves(&self.asked, self.cache.now()) {
                    Use::Fresh if has_waited => return Ok(self.give(kept, Cached::Collapsed)),
                    Use::Fresh => return Ok(self.give(kept, Cached::Hit)),
                    Use::Stale => return Ok(self.give(kept, Cached::Stale)),
                    Use::StaleMeanwhile => {
                        self.clone().refresh(kept.clone());
                        return Ok(self.give(kept, Cached::Stale));
                    }
                    Use::Ask => {}
                }
            }
            if self.asked.only_if_cached {
                let detail = "there is no copy of this, and nobody else may be asked";
                return Ok(problem(StatusCode::GATEWAY_TIMEOUT, detail, &[]));
            }
            // One may wait for another once; what that brought is then either for both or for none.
            let is_shared = self.method == Method::GET
                && !has_waited
                && !self.is_personal
                && !self.asked.no_store
                && !self.asked.no_cache;
            let lead = match is_shared.then(|| self.cache.flights.board(&self.key)) {
                Some(Boarding::Waits(waiting)) => {
                    has_waited = waiting.landed().await;
                    continue;
                }
                Some(Boarding::Leads(lead)) => Some(lead),
                Some(Boarding::Alone) | None => None,
            };
            let brought = self.bring(found.as_ref()).await;
            if let Some(lead) = lead {
                lead.land();
            }
            return self.settle(found.as_ref(), brought);
        }
    }

    /// What the client gets of what the service said.
    fn settle(
        &self,
        found: Option<&Arc<Kept>>,
        brought: Result<Brought, Failure>,
    ) -> Result<Response<Body>, Failure> {
        let stands_in = |found: Option<&Arc<Kept>>| {
            let kept = found.filter(|kept| kept.freshness.stands_in(&self.asked, self.cache.now()))?;
            Some(self.give(kept, Cached::StaleIfError))
        };
        match brought {
            Ok(Brought::Holds(kept)) => Ok(self.give(&kept, Cached::Revalidated)),
            Ok(Brought::Kept(kept)) => {
                let mut response = self.plain(&kept);
                self.cache.count(Cached::Miss);
                say(&mut response, Cached::Miss, Some(kept.freshness.left(self.cache.now())), true);
                Ok(response)
            }
            Ok(Brought::Other(response)) if is_failure(response.status()) => {
                Ok(stands_in(found).unwrap_or_else(|| self.pass(response)))
            }
            Ok(Brought::Other(response)) => Ok(self.pass(response)),
            Err(failure) => stands_in(found).ok_or(failure),
        }
    }

    fn pass(&self, mut response: Response<Body>) -> Response<Body> {
        self.cache.count(Cached::Miss);
        say(&mut response, Cached::Miss, None, false);
        response
    }

    /// Fetches a new copy beside the requests, unless somebody does.
    fn refresh(self: Arc<Self>, kept: Arc<Kept>) {
        let Boarding::Leads(lead) = self.cache.flights.board(&self.key) else { return };
        let origin = self.origin.clone();
        origin.beside(async move {
            if let Err(failure) = self.bring(Some(&kept)).await {
                tracing::debug!(%failure, "a stale answer cannot be fetched anew");
            }
            lead.land();
        });
    }

    /// A copy as an answer to this request.
    fn give(&self, kept: &Kept, cached: Cached) -> Response<Body> {
        let mut response = self.plain(kept);
        let now = self.cache.now();
        response.headers_mut().insert(header::AGE, HeaderValue::from(kept.freshness.age(now)));
        self.cache.count(cached);
        say(&mut response, cached, Some(kept.freshness.left(now)), false);
        response
    }

    fn plain(&self, kept: &Kept) -> Response<Body> {
        let is_known = kept.status == StatusCode::OK && is_known(&self.headers, &kept.headers);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = kept.headers.clone();
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
            return response;
        }
        *response.status_mut() = kept.status;
        match self.method == Method::HEAD {
            true => drop(response.headers_mut().insert(header::CONTENT_LENGTH, kept.body.len().into())),
            false => *response.body_mut() = Body::from(kept.body.clone()),
        }
        response
    }
}

/// Whether an answer may be given to somebody who shows who they are (§3.5).
fn shares(kept: &Kept) -> bool {
    let said = Directives::of(&kept.headers);
    said.public || said.s_maxage.is_some() || said.must_revalidate
}
