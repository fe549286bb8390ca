//! Calling another app: found by name, streamed both ways.
//!
//! The app is called as its service is: which instance, in which protocol and TLS, within which bounds, and what is sent again,
//! the file says ([`dozen_dataplane::Caller`]). The answer is passed on as it is, whatever its status. When no connection could be
//! made the call is made again after a pause, as Dapr does (`DaprBuiltInServiceRetries`: three times, a second apart).

mod headers;
mod kept;

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use dozen_core::chain;
use dozen_dataplane::{Body, BoxError, CallError, Error};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header, request};
use http_body::Body as HttpBody;

use crate::fault::Fault;
use crate::sidecar::Sidecar;
use kept::Kept;

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
    let headers = headers::outgoing(sidecar, target, &parts);
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
        (None, None) => Err(Fault::invoke(StatusCode::NOT_FOUND, format!("app `{target}` is not known"))),
    }
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
    parts.headers = headers::end_to_end(&parts.headers);
    if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    // The call counts as under way until its body has ended.
    Response::from_parts(parts, axum::body::Body::new(body))
}
