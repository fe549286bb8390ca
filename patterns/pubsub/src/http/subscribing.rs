//! Subscriptions: made, moved, paused, ended.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dozen_core::{Timestamp, duration, nearest};
use dozen_messaging::{Broker as _, Start, SubscriptionOptions};
use dozen_openapi::{Asked, Body, Named, Nothing, Problem, Span};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::remembered::Key;
use crate::{Pattern, Subscription, SubscriptionStatus};

/// The topic or pattern, and the name.
pub(super) type Which = (String, String);

impl super::State {
    /// The subscription, open. One that is not there is not made.
    pub(super) async fn subscription(&self, (pattern, name): &Which) -> Result<Subscription, Problem> {
        if Key::new(pattern, name)?.read(&self.face.store).await?.is_none() {
            return Err(self.unknown(pattern, name).await);
        }
        Ok(self.topics.subscription(pattern, name, SubscriptionOptions::default()).await?)
    }

    async fn unknown(&self, pattern: &str, name: &str) -> Problem {
        let all = self.topics.subscriptions().await.unwrap_or_default();
        let names = all.iter().filter(|other| other.topic == pattern).map(|other| other.name.as_str());
        Problem::unknown("subscription", name, &nearest(name, names))
    }

    async fn status(&self, (pattern, name): &Which) -> Result<Value, Problem> {
        let all = self.topics.subscriptions().await?;
        match all.iter().find(|status| status.topic == *pattern && status.name == *name) {
            Some(status) => Ok(told(status)),
            None => Err(self.unknown(pattern, name).await),
        }
    }
}

/// The subscriptions that hear of `topic`, or that were made with this very pattern.
pub(super) async fn heard(state: &super::State, topic: &str) -> Result<Value, Problem> {
    let all = state.topics.subscriptions().await?;
    let hears = |status: &&SubscriptionStatus| {
        status.topic == topic || Pattern::parse(&status.topic).is_ok_and(|pattern| pattern.matches(topic))
    };
    Ok(all.iter().filter(hears).map(told).collect())
}

fn told(status: &SubscriptionStatus) -> Value {
    json!({
        "topic": status.topic,
        "name": status.name,
        "filter": status.filter,
        "lag": status.lag,
        "behind": status.behind.map(duration::text),
        "oldest": status.oldest.map(|moment| moment.to_string()),
        "working": status.leased,
        "waiting": status.waiting,
        "held": status.held,
        "dead": status.dead,
        "parked-keys": status.parked_keys,
        "paused": status.paused,
    })
}

/// `GET …/subscriptions`.
pub(super) async fn list(
    State(state): State<Arc<super::State>>,
    Named(topic): Named<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    if !Pattern::parse(&topic)?.is_wild() {
        state.topics.settings(&topic).await?;
    }
    Ok(Json(json!({ "subscriptions": heard(&state, &topic).await? })))
}

/// `GET …/subscriptions/{name}`.
pub(super) async fn one(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(state.status(&which).await?))
}

/// What a subscription is made with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Made {
    start: Option<Value>,
    filter: Option<String>,
    lease: Option<Span>,
    per_key: Option<u32>,
}

/// A beginning: `latest`, `earliest`, a moment, or the position after which it begins.
fn start(value: &Value) -> Result<Start, Problem> {
    let known = match value {
        Value::String(text) if text == "latest" => Some(Start::Latest),
        Value::String(text) if text == "earliest" => Some(Start::Earliest),
        Value::String(text) => Timestamp::parse(text).map(Start::At),
        value => value.as_u64().map(Start::After),
    };
    known.ok_or_else(|| {
        let why = "a start is `latest`, `earliest`, a moment such as `2026-09-21T14:13:20Z`, or a position";
        Problem::invalid("start", why)
    })
}

/// `PUT …/subscriptions/{name}`: 201 when it is new.
pub(super) async fn subscribe(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let made: Made = body.read()?;
    let (pattern, name) = &which;
    let options = SubscriptionOptions {
        start: made.start.as_ref().map(start).transpose()?.unwrap_or_default(),
        lease: made.lease.map(|lease| dozen_openapi::checked_lease(lease, "lease")).transpose()?,
        filter: made.filter,
        per_key: made.per_key,
    };
    let is_new = Key::new(pattern, name)?.read(&state.face.store).await?.is_none();
    state.topics.subscription(pattern, name, options).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(state.status(&which).await?)).into_response())
}

/// `DELETE …/subscriptions/{name}`.
pub(super) async fn unsubscribe(
    State(state): State<Arc<super::State>>,
    Named((pattern, name)): Named<Which>,
) -> Result<StatusCode, Problem> {
    match state.topics.unsubscribe(&pattern, &name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(state.unknown(&pattern, &name).await),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    start: Value,
}

/// `POST …/{name}/seek`.
pub(super) async fn seek(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let moved: Moved = body.read()?;
    state.topics.seek(&which.0, &which.1, start(&moved.start)?).await?;
    Ok(Json(state.status(&which).await?))
}

/// `POST …/{name}/pause`.
pub(super) async fn pause(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    rest(&state, &which, true).await
}

/// `POST …/{name}/resume`.
pub(super) async fn resume(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    rest(&state, &which, false).await
}

async fn rest(state: &super::State, which: &Which, paused: bool) -> Result<Json<Value>, Problem> {
    state.topics.pause(&which.0, &which.1, paused).await?;
    Ok(Json(state.status(which).await?))
}
