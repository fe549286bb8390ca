//! What the service says of what is wanted: that the copy still holds, another that is kept, or something to pass on.

use std::sync::Arc;

use dozen_dataplane::{Body, Failure};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body as _;

use super::exchange::Lookup;
use super::rules::{Times, keeps};
use super::store::Kept;
use super::whole::whole;

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

/// What the service said.
pub(super) enum Brought {
    /// Something to keep, and it is kept.
    Kept(Arc<Kept>),
    /// The copy still holds, and is fresh again.
    Holds(Arc<Kept>),
    /// Something to pass on.
    Other(Response<Body>),
}

impl Lookup {
    /// Asks the service: whether the copy still holds, if there is one, and for the whole otherwise.
    pub(super) async fn bring(&self, found: Option<&Arc<Kept>>) -> Result<Brought, Failure> {
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
}
