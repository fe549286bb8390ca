//! Calling another app: found by name, streamed both ways.
//!
//! The app is called as its service is: which instance, in which protocol and TLS, within which bounds, and what is sent again,
//! the file says ([`dozen_dataplane::Caller`]). The answer is passed on as it is, whatever its status. When no connection could be
//! made the call is made again after a pause, as Dapr does (`DaprBuiltInServiceRetries`: three times, a second apart).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use dozen_core::chain;
use dozen_dataplane::{Body, BoxError, CallError, Error, Peer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::envelope::trace;
use crate::fault::Fault;
use crate::sidecar::Sidecar;

/// Rounds after the first.
const RETRIES: u32 = 3;
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls `target` with `path_and_query`, and passes on what it answers.
pub(crate) async fn invoke<B>(
    sidecar: &Sidecar,
    target: &str,
    path_and_query: &str,
    parts: request::Parts,
    body: B,
) -> Result<Response, Fault>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let uri: Uri = path_and_query.parse().map_err(|error| {
        Fault::bad_request("ERR_MALFORMED_REQUEST", format!("`{path_and_query}` is no path: {error}"))
    })?;
    if target.is_empty() {
        return Err(Fault::invoke(StatusCode::NOT_FOUND, "the app id is empty"));
    }
    if target.starts_with("http:") || target.starts_with("https:") {
        return Err(Fault::unimplemented("invoke of an absolute URL"));
    }
    let headers = outgoing_headers(sidecar, target, &parts);
    let body = Kept::new(body);
    let service = known(sidecar, target)?;
    let mut rounds = 0;
    loop {
        let request = outgoing(&parts.method, &uri, &headers, body.lend());
        let error = match call(sidecar, service, request).await {
            Ok(response) => return Ok(incoming(response)),
            Err(error) => error,
        };
        if !refuses(&error) || !body.is_whole() || rounds == RETRIES {
            let status = match error {
                CallError::Failed { source: Error::BodyTooLarge { .. }, .. } => StatusCode::PAYLOAD_TOO_LARGE,
                CallError::Unknown { .. } => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let message = format!("failed to invoke app `{target}`: {}", chain(&error));
            return Err(Fault::invoke(status, message));
        }
        // Every instance that was asked refused the connection: one that restarts gets the time to.
        tokio::time::sleep(PAUSE).await;
        rounds += 1;
    }
}

async fn call(
    sidecar: &Sidecar,
    service: &str,
    request: Request<Body>,
) -> Result<http::Response<Body>, CallError> {
    let timeout = sidecar.options.invoke_timeout;
    match &sidecar.channel {
        // An app that calls itself means its own instance.
        Some(own) if service == sidecar.options.app_id => {
            let failed = |source| CallError::Failed { service: service.to_owned(), source };
            own.client().send(&own.address, request, timeout).await.map_err(failed)
        }
        _ => sidecar.caller.send(service, request, timeout).await,
    }
}

/// Whether no connection could be made.
fn refuses(error: &CallError) -> bool {
    matches!(error, CallError::Failed { source: Error::Connect { .. }, .. })
}

/// The service of an app. `name.namespace` is looked for as it is, and then without its namespace.
fn known<'t>(sidecar: &Sidecar, target: &'t str) -> Result<&'t str, Fault> {
    if target == sidecar.options.app_id && sidecar.channel.is_some() {
        return Ok(target);
    }
    let look = |name: &str| sidecar.caller.upstreams().look(name);
    let is_there = look(target);
    let bare = target.rsplit_once('.').map(|(name, _)| name).filter(|name| look(name) == Some(true));
    match (is_there, bare) {
        (Some(true), _) => Ok(target),
        (_, Some(bare)) => Ok(bare),
        (Some(false), None) => {
            let message = format!("app `{target}` has no healthy instance");
            Err(Fault::invoke(StatusCode::INTERNAL_SERVER_ERROR, message))
        }
        (None, None) => Err(unreachable_app(target)),
    }
}

fn unreachable_app(target: &str) -> Fault {
    Fault::invoke(StatusCode::NOT_FOUND, format!("app `{target}` is not known"))
}

/// Between sidecar and neighbour only: never passed on, in either direction.
fn is_private(name: &HeaderName) -> bool {
    dozen_dataplane::framing::is_hop_by_hop(name.as_str())
        || matches!(
            name.as_str(),
            "dapr-api-token"
                | "dapr-app-id"
                | "dapr-caller-app-id"
                | "dapr-callee-app-id"
                | "dapr-caller-namespace"
                | "host"
                | "expect"
                | "content-length"
        )
}

/// The end-to-end headers without those named by `connection`.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        if !is_private(name) && !named.iter().any(|named| named == name.as_str()) {
            passed.append(name, value.clone());
        }
    }
    passed
}

fn outgoing_headers(sidecar: &Sidecar, target: &str, parts: &request::Parts) -> HeaderMap {
    let mut headers = end_to_end(&parts.headers);
    if crate::api::basic_app_id(&parts.headers).is_some() {
        headers.remove(header::AUTHORIZATION); // it named the app, and is no credential
    }
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put("dapr-caller-app-id", &sidecar.options.app_id);
    put("dapr-callee-app-id", target);
    put("traceparent", &trace(&parts.headers, &sidecar.ids).to_string());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if let Some(host) = host {
        put("x-forwarded-host", host);
    }
    if let Some(Peer(peer)) = parts.extensions.get::<Peer>() {
        let before = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let peer = peer.ip();
        put(
            "x-forwarded-for",
            &before.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}")),
        );
        let quoted = if peer.is_ipv6() { format!("\"[{peer}]\"") } else { peer.to_string() };
        let host =
            host.map(|host| format!(";host=\"{}\"", host.replace(['"', '\\'], ""))).unwrap_or_default();
        put("forwarded", &format!("for={quoted}{host}"));
    }
    if target == sidecar.options.app_id
        && let Some(token) = &sidecar.options.app_token
    {
        put("dapr-api-token", token.reveal());
    }
    headers
}

fn outgoing(method: &Method, uri: &Uri, headers: &HeaderMap, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers.clone();
    request
}

fn incoming(response: http::Response<Body>) -> Response {
    let (mut parts, body) = response.into_parts();
    // A body of known length keeps its length, which a HEAD's answer has no body to tell.
    let length = parts.headers.get(header::CONTENT_LENGTH).cloned();
    parts.headers = end_to_end(&parts.headers);
    if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    // The call counts as under way until its body has ended.
    Response::from_parts(parts, axum::body::Body::new(body))
}

/// A request's body that can be sent again as long as nobody has begun to read it.
struct Kept(Option<Arc<Mutex<Reading>>>);

struct Reading {
    body: Body,
    begun: bool,
}

impl Kept {
    fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() || body.size_hint().exact() == Some(0) {
            return Self(None);
        }
        Self(Some(Arc::new(Mutex::new(Reading { body: Body::new(body), begun: false }))))
    }

    fn lend(&self) -> Body {
        match &self.0 {
            None => Body::empty(),
            Some(reading) => Body::new(Lent(reading.clone())),
        }
    }

    fn is_whole(&self) -> bool {
        let begun = |reading: &Arc<Mutex<Reading>>| lock(reading).begun;
        !self.0.as_ref().is_some_and(begun)
    }
}

fn lock(reading: &Mutex<Reading>) -> std::sync::MutexGuard<'_, Reading> {
    reading.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

struct Lent(Arc<Mutex<Reading>>);

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut reading = lock(&self.0);
        reading.begun = true;
        Pin::new(&mut reading.body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("dapr-app-id", "stock"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let passed: Vec<_> = end_to_end(&headers).iter().map(|(name, _)| name.as_str().to_owned()).collect();
        assert_eq!(passed, ["set-cookie", "set-cookie"]);
    }
}
