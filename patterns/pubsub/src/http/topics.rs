//! Topics: told, and published on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dozen_core::duration;
use dozen_messaging::{Publisher as _, TopicSettings};
use dozen_openapi::{Asked, Body, Fill, Named, Nothing, Problem, messages};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::subscribing;
use crate::TopicStatus;

/// `GET /dozen/v1/topics`.
pub(super) async fn list(
    State(state): State<Arc<super::State>>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    let all = state.topics.topic_statuses().await?;
    Ok(Json(json!({ "topics": all.iter().map(told).collect::<Vec<_>>() })))
}

/// `GET …/{topic}`.
pub(super) async fn one(
    State(state): State<Arc<super::State>>,
    Named(topic): Named<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    state.topics.settings(&topic).await?;
    let all = state.topics.topic_statuses().await?;
    let status = all.iter().find(|status| status.topic == topic);
    let mut told = told(status.ok_or_else(|| Problem::unknown("topic", &topic, &[]))?);
    told["subscriptions"] = subscribing::heard(&state, &topic).await?;
    Ok(Json(told))
}

fn told(status: &TopicStatus) -> Value {
    json!({
        "name": status.topic,
        "published": status.published,
        "bytes": status.bytes,
        "settings": settings(&status.settings),
    })
}

fn settings(settings: &TopicSettings) -> Value {
    json!({
        "keep": duration::text(settings.keep),
        "bytes-keep": settings.bytes_keep,
        "compact": settings.compact,
        "bytes-max": settings.bytes_max,
        "key": settings.key,
        "schema": settings.schema,
        "sealed": settings.sealed,
    })
}

/// What the query of a publication may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    #[serde(rename = "type")]
    kind: Option<String>,
    key: Option<String>,
}

/// `POST …/{topic}/messages`.
pub(super) async fn publish(
    State(state): State<Arc<super::State>>,
    Named(topic): Named<String>,
    Asked(options): Asked<Options>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    // A slip in the name is told before one in the body.
    state.topics.settings(&topic).await?;
    let source = format!("/topic/{topic}");
    let (kind, key) = (options.kind.as_deref(), options.key.as_deref());
    let messages = messages(&headers, body, &Fill { source: &source, kind, key, ids: &state.face.ids })?;
    let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
    let token = state.topics.publish(&topic, messages).await?;
    let told = json!({ "ids": ids, "token": token.to_string() });
    Ok((StatusCode::CREATED, Json(told)).into_response())
}
