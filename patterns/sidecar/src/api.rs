//! Which call is meant, and whether the caller may make it.
//!
//! ```text
//! POST|PUT /v1.0/publish/{pubsub}/{topic…}           POST|PUT /v1.0[-alpha1]/publish/bulk/{pubsub}/{topic…}
//! any      /v1.0/invoke/{app}/method/{path…}         any path with the header `dapr-app-id`
//! GET      /v1.0/metadata                            PUT  /v1.0/metadata/{key}
//! GET      /v1.0/healthz   /v1.0/healthz/outbound    POST /v1.0/shutdown
//! ```
//!
//! Matched by hand: topics may hold slashes, an invoked path is passed on as it was written, and what matches nothing
//! is a call to the app that a header names. The server hands in paths in their canonical form.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use bytes::Bytes;
use dozen_dataplane::Peer;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::fault::Fault;
use crate::invoke::invoke;
use crate::metadata;
use crate::publish::{Publishing, bulk, one};
use crate::query::{decode, parameter};
use crate::sidecar::Sidecar;

/// Dapr's APIs that are not served, by the first part of their path.
const ABSENT: [&str; 13] = [
    "state",
    "bindings",
    "secrets",
    "configuration",
    "lock",
    "unlock",
    "jobs",
    "workflows",
    "actors",
    "crypto",
    "subtlecrypto",
    "conversation",
    "job",
];

/// Answers one request.
pub(crate) async fn answer(State(sidecar): State<Arc<Sidecar>>, mut request: Request) -> Response {
    if !is_health(&request) && !admits(&sidecar, request.headers()) {
        return (StatusCode::UNAUTHORIZED, "invalid api token").into_response();
    }
    request.headers_mut().remove("dapr-api-token");
    dispatch(&sidecar, request).await.unwrap_or_else(Fault::into_response)
}

/// Probes come without a token.
fn is_health(request: &Request) -> bool {
    request.method() == Method::GET
        && matches!(request.uri().path().trim_end_matches('/'), "/v1.0/healthz" | "/v1.0/healthz/outbound")
}

fn admits(sidecar: &Sidecar, headers: &HeaderMap) -> bool {
    match &sidecar.options.api_token {
        None => true,
        Some(token) => headers.get("dapr-api-token").is_some_and(|sent| token.is(sent.as_bytes())),
    }
}

async fn dispatch(sidecar: &Arc<Sidecar>, request: Request) -> Result<Response, Fault> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(str::to_owned);
    let query = query.as_deref();
    if let Some((target, tail)) = invoked(&path) {
        let target = decode(target);
        let tail = with_query(tail, query);
        let (parts, body) = request.into_parts();
        return invoke(sidecar, &target, &tail, parts, body).await;
    }
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let writes = matches!(*request.method(), Method::POST | Method::PUT);
    match (request.method().as_str(), &segments[..]) {
        (_, ["v1.0" | "v1.0-alpha1", "publish", "bulk", pubsub, topic @ ..])
            if writes && !topic.is_empty() =>
        {
            let (pubsub, topic) = (decode(pubsub), decode(&topic.join("/")));
            let (headers, body) = read(sidecar, request).await?;
            bulk(sidecar, Publishing { pubsub, topic, query, headers: &headers, body }).await
        }
        (_, ["v1.0", "publish", rest @ ..]) if writes => {
            let (pubsub, topic) = rest.split_first().unwrap_or((&"", &[]));
            let (pubsub, topic) = (decode(pubsub), decode(&topic.join("/")));
            let (headers, body) = read(sidecar, request).await?;
            one(sidecar, Publishing { pubsub, topic, query, headers: &headers, body }).await
        }
        ("GET", ["v1.0", "metadata"]) => Ok(metadata::get(sidecar)),
        ("PUT", ["v1.0", "metadata", key]) => {
            let key = decode(key);
            let (_, body) = read(sidecar, request).await?;
            sidecar.extended.put(&key, &body)
        }
        ("GET", ["v1.0", "healthz"]) => health(sidecar, query),
        ("GET", ["v1.0", "healthz", "outbound"]) => Ok(StatusCode::NO_CONTENT.into_response()),
        ("POST", ["v1.0", "shutdown"]) => shut_down(sidecar, &request),
        _ => elsewhere(sidecar, request, &path, query).await,
    }
}

/// The app and the path of a call by path. The path keeps its spelling.
fn invoked(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v1.0/invoke/")?;
    match rest.split_once("/method") {
        Some((target, tail)) if tail.is_empty() || tail.starts_with('/') => Some((target, tail)),
        _ => None,
    }
}

fn with_query(tail: &str, query: Option<&str>) -> String {
    let slash = if tail.starts_with('/') { "" } else { "/" };
    match query {
        Some(query) if !query.is_empty() => format!("{slash}{tail}?{query}"),
        _ => format!("{slash}{tail}"),
    }
}

/// A path that no API has: a call to the app that a header names, an API that is not served, or nothing.
async fn elsewhere(
    sidecar: &Arc<Sidecar>,
    request: Request,
    path: &str,
    query: Option<&str>,
) -> Result<Response, Fault> {
    let named = request.headers().get("dapr-app-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    if let Some(target) = named.or_else(|| basic_app_id(request.headers())) {
        let target_path = with_query(path, query);
        let (parts, body) = request.into_parts();
        return invoke(sidecar, &target, &target_path, parts, body).await;
    }
    let mut segments = path.trim_matches('/').split('/');
    let version = segments.next().unwrap_or("");
    let api = segments.next().unwrap_or("");
    if version.starts_with("v1.0") && ABSENT.contains(&api) {
        return Err(Fault::unimplemented(api));
    }
    let message = format!(
        "`{} {path}` is no call of this API, and no `dapr-app-id` header names an app",
        request.method()
    );
    Err(Fault::invoke(StatusCode::NOT_FOUND, message))
}

/// The app that a URL like `http://dapr-app-id:orders@localhost:3500/…` names.
pub(crate) fn basic_app_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let pair = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.strip_prefix("dapr-app-id:").map(str::to_owned)
}

async fn read(sidecar: &Sidecar, request: Request<Body>) -> Result<(HeaderMap, Bytes), Fault> {
    let (parts, body) = request.into_parts();
    let limit = sidecar.options.body_max;
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok((parts.headers, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {limit} bytes");
            Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "ERR_BODY_READ", message))
        }
        Err(error) => Err(Fault::bad_request("ERR_BODY_READ", format!("the body ended early: {error}"))),
    }
}

fn health(sidecar: &Sidecar, query: Option<&str>) -> Result<Response, Fault> {
    let sick = |code, message: String| Err(Fault::new(StatusCode::INTERNAL_SERVER_ERROR, code, message));
    if let Some(asked) = parameter(query, "appid").filter(|asked| *asked != sidecar.options.app_id) {
        let message = format!("this is the sidecar of `{}`, not of `{asked}`", sidecar.options.app_id);
        return sick("ERR_HEALTH_APPID_NOT_MATCH", message);
    }
    match &sidecar.channel {
        Some(channel) if !channel.is_here() => {
            sick("ERR_HEALTH_NOT_READY", format!("the app does not answer on {}", channel.address))
        }
        _ => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Only from this machine, whatever address the sidecar listens on.
fn shut_down(sidecar: &Sidecar, request: &Request) -> Result<Response, Fault> {
    let is_local =
        request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    if !is_local {
        let message = "shutdown is taken from the loopback interface only";
        return Err(Fault::new(StatusCode::FORBIDDEN, "ERR_PERMISSION_DENIED", message));
    }
    tracing::info!(app = sidecar.options.app_id, "asked to shut down");
    sidecar.shut_down();
    Ok(StatusCode::NO_CONTENT.into_response())
}
