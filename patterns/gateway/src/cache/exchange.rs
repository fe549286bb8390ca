//! A request that may be answered from the cache.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use dozen_dataplane::{Body, BoxError, Failure};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::directives::Directives;
use super::flight::Boarding;
use super::policy::Policy;
use super::rules::{Times, Use, invalidates, is_failure, is_for_cache, is_known, keeps};
use super::said::{Cached, say};
use super::store::{Cache, Kept};
use crate::shape::{Given, Origin, problem};

/// Headers of an exchange that say nothing of what is kept (§3.1).
const NOT_KEPT: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Answers from the cache, or from the service by way of it.
pub(crate) async fn answer(
    cache: &Arc<Cache>,
    policy: &Policy,
    given: &Given,
    origin: Origin,
    mut request: Request<Body>,
    made: &str,
) -> Result<Response<Body>, Failure> {
    let key = key(policy, given, given.at, request.uri(), request.headers(), made);
    // What a request with a body is answered may depend on that, and a copy is not known by it.
    let is_bodiless = request.body().is_end_stream() || request.body().size_hint().exact() == Some(0);
    if !is_bodiless || !is_for_cache(request.method(), request.headers()) {
        let (method, uri, headers) =
            (request.method().clone(), request.uri().clone(), request.headers().clone());
        let mut response = origin.ask(request).await?;
        if invalidates(&method, response.status()) {
            (0..given.services.max(1))
                .for_each(|at| cache.forget(&self::key(policy, given, at, &uri, &headers, made)));
            forget(cache, given, &response);
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

/// What requests have in common that one answer may serve.
///
/// What the service is asked for is a part of it: the route may make its target, its host and headers (`made`) of more than
/// the client's address. And so is the service, where there are several.
fn key(policy: &Policy, given: &Given, at: usize, target: &Uri, headers: &HeaderMap, made: &str) -> Arc<str> {
    let mut key = address(given, &given.path, given.query.as_deref());
    if target.path() != given.path || target.query() != given.query.as_deref() {
        key.push('\n');
        key.push_str(target.path_and_query().map_or("", |target| target.as_str()));
    }
    let host = headers.get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    if !host.eq_ignore_ascii_case(given.host.as_bytes()) {
        key.push_str(&format!("\n@{}", host.escape_ascii()));
    }
    key.push_str(made);
    if given.services > 1 {
        key.push_str(&format!("\n{at}"));
    }
    for name in &policy.by {
        key.push('\n');
        for value in headers.get_all(name) {
            // Exactly as it came, and so that two values are not one.
            key.push_str(&format!("{}\t", value.as_bytes().escape_ascii()));
        }
    }
    key.into()
}

fn address(given: &Given, path: &str, query: Option<&str>) -> String {
    let Given { scheme, host, .. } = given;
    match query {
        Some(query) => format!("{scheme}://{host}\n{path}?{query}"),
        None => format!("{scheme}://{host}\n{path}"),
    }
}

/// Forgets what else an unsafe request has changed: the addresses that its answer names, where these are all that a copy
/// is known by (§4.4).
fn forget(cache: &Cache, given: &Given, response: &Response<Body>) {
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let named = response.headers().get(name).and_then(|value| Uri::try_from(value.as_bytes()).ok());
        let Some(uri) = named else { continue };
        // Only of the same host: nobody may have others forgotten.
        if uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(&given.host)) {
            cache.forget(&address(given, uri.path(), uri.query()).into());
        }
    }
}

/// One request on its way through the cache.
struct Lookup {
    cache: Arc<Cache>,
    usual: super::rules::Usual,
    entry_max: usize,
    key: Arc<str>,
    is_personal: bool,
    asked: Directives,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    origin: Origin,
}

/// What the service said.
enum Brought {
    /// Something to keep, and it is kept.
    Kept(Arc<Kept>),
    /// The copy still holds, and is fresh again.
    Holds(Arc<Kept>),
    /// Something to pass on.
    Other(Response<Body>),
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

    /// Asks the service: whether the copy still holds, if there is one, and for the whole otherwise.
    async fn bring(&self, found: Option<&Arc<Kept>>) -> Result<Brought, Failure> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(kept) = found {
            let headers = request.headers_mut();
            for (validator, condition) in
                [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)]
            {
                headers.remove(&condition);
                if let Some(value) = kept.headers.get(validator) {
                    headers.insert(condition, value.clone());
                }
            }
        } else if self.method == Method::GET {
            // The whole is worth keeping also where this client has it; it is told so all the same.
            request.headers_mut().remove(header::IF_NONE_MATCH);
            request.headers_mut().remove(header::IF_MODIFIED_SINCE);
        }
        let asked = self.cache.now();
        let response = self.origin.ask(request).await?;
        let times = Times { asked, came: self.cache.now() };
        match found {
            Some(kept) if response.status() == StatusCode::NOT_MODIFIED => {
                Ok(self.holds(kept, &response, times))
            }
            _ => self.keep(response, times).await,
        }
    }

    /// The copy with what a 304 says of it (§4.3.4).
    fn holds(&self, kept: &Arc<Kept>, response: &Response<Body>, times: Times) -> Brought {
        let mut headers = kept.headers.clone();
        // How old the copy was when it came says nothing of how old what is said of it now is.
        headers.remove(header::AGE);
        for name in response.headers().keys() {
            let is_of_body = matches!(
                name.as_str(),
                "content-length" | "content-encoding" | "content-type" | "content-range"
            );
            if is_of_body || NOT_KEPT.contains(&name.as_str()) {
                continue;
            }
            headers.remove(name);
            headers
                .extend(response.headers().get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        let fresh = keeps(&self.asked, self.is_personal, kept.status, &headers, self.usual, times);
        let freshness = fresh.clone().unwrap_or_else(|| kept.freshness.clone());
        let again =
            Kept::new(&self.headers, kept.status, headers.clone(), kept.body.clone(), freshness.clone());
        match fresh {
            Some(_) => self.cache.keep(&self.key, again),
            None => self.cache.forget(&self.key),
        }
        Brought::Holds(Arc::new(Kept::new(&self.headers, kept.status, headers, kept.body.clone(), freshness)))
    }

    /// Keeps an answer that may be kept and has come whole.
    async fn keep(&self, response: Response<Body>, times: Times) -> Result<Brought, Failure> {
        let (mut parts, body) = response.into_parts();
        let is_small = body.size_hint().lower() <= self.entry_max as u64;
        let freshness = keeps(&self.asked, self.is_personal, parts.status, &parts.headers, self.usual, times);
        let Some(freshness) = freshness.filter(|_| is_small && self.method == Method::GET) else {
            return Ok(Brought::Other(Response::from_parts(parts, body)));
        };
        let body = match whole(body, self.entry_max).await? {
            Ok(body) => body,
            Err(beyond) => return Ok(Brought::Other(Response::from_parts(parts, Body::new(beyond)))),
        };
        NOT_KEPT.iter().for_each(|name| drop(parts.headers.remove(*name)));
        parts.headers.remove(header::CONTENT_LENGTH);
        let kept =
            || Kept::new(&self.headers, parts.status, parts.headers.clone(), body.clone(), freshness.clone());
        self.cache.keep(&self.key, kept());
        Ok(Brought::Kept(Arc::new(kept())))
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

/// A body that turned out to be longer than what is kept: what has come, and the rest of it.
struct Beyond {
    come: Option<Bytes>,
    rest: Body,
}

/// The whole of a body, if it is at most `max` bytes.
async fn whole(mut body: Body, max: usize) -> Result<Result<Bytes, Beyond>, Failure> {
    let mut come = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Ok(Ok(come.freeze())),
            Some(Ok(frame)) => {
                // Trailers are not kept; they say how the exchange went.
                let Ok(data) = frame.into_data() else { continue };
                come.extend_from_slice(&data);
                if come.len() > max {
                    return Ok(Err(Beyond { come: Some(come.freeze()), rest: body }));
                }
            }
            Some(Err(error)) => {
                return Err(error.downcast_ref::<Failure>().copied().unwrap_or(Failure::Broken));
            }
        }
    }
}

impl HttpBody for Beyond {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.come.take() {
            Some(come) => Poll::Ready(Some(Ok(Frame::data(come)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.come.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let come = self.come.as_ref().map_or(0, Bytes::len) as u64;
        match self.rest.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(come + rest),
            None => SizeHint::default(),
        }
    }
}
