//! The registry over HTTP, for services in any language.
//!
//! ```text
//! PUT    /dozen/v1/services/{service}/instances/{id}              register     {address, zone?, weight?, metadata?, ttl?}
//! POST   /dozen/v1/services/{service}/instances/{id}/heartbeat    still alive  404: register again
//! DELETE /dozen/v1/services/{service}/instances/{id}              leave
//! GET    /dozen/v1/services                                       every service that has an instance
//! GET    /dozen/v1/services/{service}                             its healthy instances; ?all=true for all
//! GET    …/{service}?version=7&wait=30s                           the same, once it is no longer version 7
//! GET    …/{service}   Accept: text/event-stream                  the same, now and after each change
//! ```
//!
//! Bodies and waiting requests are bounded. Every refusal is a problem document (RFC 9457).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use dozen_core::{Endpoint, EndpointSet, duration};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::check_service;
use crate::problem::Problem;
use crate::{Lease, Registry, waiting};

/// A registration is small; what is larger is a mistake or an attack.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// No request waits for a change for longer, so that a client that is gone is noticed.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// How long a request with a `version` and no `wait` waits.
const WAIT: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(15);

/// The registry's HTTP API.
pub fn router(registry: Arc<Registry>) -> Router {
    let instance = "/dozen/v1/services/{service}/instances/{id}";
    Router::new()
        .route("/dozen/v1/services", get(list))
        .route("/dozen/v1/services/{service}", get(look_up))
        .route(instance, put(register).delete(deregister))
        .route(&format!("{instance}/heartbeat"), post(heartbeat))
        .method_not_allowed_fallback(wrong_method)
        .fallback(wrong_path)
        .with_state(registry)
}

/// What an instance says of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    address: String,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    ttl: Option<String>,
}

fn one() -> u32 {
    1
}

type Instance = Result<Path<(String, String)>, PathRejection>;

async fn register(
    State(registry): State<Arc<Registry>>,
    instance: Instance,
    request: Request,
) -> Result<Response, Problem> {
    let Path((service, id)) = instance?;
    let bytes = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Problem::too_large(BODY_BYTES_MAX)),
        Err(error) => return Err(Problem::body(format!("the body ended early: {error}"))),
    };
    // An array of the values in order would do for serde, and is nothing that anyone means.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(Problem::body("the body must be one JSON object"));
    }
    let said: Said = serde_json::from_slice(&bytes).map_err(|error| Problem::body(error.to_string()))?;
    let ttl = match said.ttl {
        None => TTL,
        Some(text) => duration::parse(&text).ok_or_else(|| Problem {
            at: Some("ttl".into()),
            ..Problem::body(format!(
                "`ttl` is `{text}`; it must be a duration like \"15s\", \"2m\" or \"1500ms\""
            ))
        })?,
    };
    let endpoint = Endpoint {
        id: id.clone(),
        address: said.address,
        host: None,
        weight: said.weight,
        zone: said.zone,
        healthy: true,
        metadata: said.metadata,
    };
    let lease = registry.register(&service, endpoint, ttl)?;
    Ok(lease_response(&service, &id, lease))
}

async fn heartbeat(State(registry): State<Arc<Registry>>, instance: Instance) -> Result<Response, Problem> {
    let Path((service, id)) = instance?;
    let lease = registry.heartbeat(&service, &id)?;
    Ok(lease_response(&service, &id, lease))
}

async fn deregister(
    State(registry): State<Arc<Registry>>,
    instance: Instance,
) -> Result<StatusCode, Problem> {
    let Path((service, id)) = instance?;
    registry.deregister(&service, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

fn lease_response(service: &str, id: &str, lease: Lease) -> Response {
    Json(json!({
        "service": service,
        "id": id,
        "ttl": duration::text(lease.ttl),
        "heartbeat": duration::text(lease.heartbeat()),
        "expires": lease.expires.to_string(),
    }))
    .into_response()
}

async fn list(State(registry): State<Arc<Registry>>) -> Json<Value> {
    let services: Vec<Value> = registry.snapshot().iter().map(|set| summary(set)).collect();
    Json(json!({ "services": services }))
}

fn summary(set: &EndpointSet) -> Value {
    json!({
        "service": set.service,
        "version": set.version,
        "instances": set.endpoints.len(),
        "healthy": set.healthy().count(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    all: bool,
    version: Option<u64>,
    wait: Option<String>,
}

async fn look_up(
    State(registry): State<Arc<Registry>>,
    service: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(service) = service?;
    check_service(&service)?;
    let Query(asked) = asked?;
    let wait = match asked.wait.as_deref() {
        None => WAIT,
        Some(text) => duration::parse(text).ok_or_else(|| {
            Problem::query("wait", format!("`wait` is `{text}`; it must be a duration like 30s"))
        })?,
    };
    if wants_events(&headers) {
        let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        let watcher = registry.admit_watcher()?;
        let events = waiting::events(&registry, &service, asked.version.or(seen), asked.all, watcher);
        let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        return Ok((kind, Body::from_stream(events)).into_response());
    }
    let set = match asked.version {
        None => registry.get(&service),
        Some(version) => {
            let _watcher = registry.admit_watcher()?;
            waiting::change(&registry, &service, version, wait.min(WAIT_MAX)).await
        }
    };
    Ok(Json(view(&set, asked.all)).into_response())
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    accept.split(',').any(|kind| kind.split(';').next().unwrap_or("").trim() == "text/event-stream")
}

/// The set as a client sees it: the instances that may receive traffic, or all of them.
pub(crate) fn view(set: &EndpointSet, all: bool) -> Value {
    let endpoints: Vec<&Endpoint> =
        if all { set.endpoints.iter().collect() } else { set.healthy().collect() };
    json!({ "service": set.service, "version": set.version, "endpoints": endpoints })
}

async fn wrong_path(method: Method, uri: Uri) -> Problem {
    Problem::no_route(StatusCode::NOT_FOUND, method.as_str(), uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::no_route(StatusCode::METHOD_NOT_ALLOWED, method.as_str(), uri.path())
}
