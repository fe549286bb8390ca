//! Publishing: one event, or many in one request.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dozen_core::{Diagnose as _, Message, chain};
use dozen_messaging::Error;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::envelope::{Context, trace, trace_state, wrap};
use crate::fault::Fault;
use crate::query::{Metadata, fold, metadata, metadata_of};
use crate::sidecar::Sidecar;

/// One publishing request.
pub(crate) struct Publishing<'a> {
    pub(crate) pubsub: String,
    pub(crate) topic: String,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

impl Publishing<'_> {
    fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok())
    }

    fn check(&self, sidecar: &Sidecar) -> Result<(), Fault> {
        let not_found = |code, message: String| Err(Fault::new(StatusCode::NOT_FOUND, code, message));
        let known = &sidecar.options.pubsub_names;
        if self.pubsub.is_empty() {
            return not_found("ERR_PUBSUB_EMPTY", "the pubsub name is empty".into());
        }
        if !known.contains(&self.pubsub) {
            let message = format!("pubsub `{}` is not found; there is `{}`", self.pubsub, known.join("`, `"));
            return not_found("ERR_PUBSUB_NOT_FOUND", message);
        }
        if self.topic.is_empty() {
            return not_found(
                "ERR_TOPIC_NAME_EMPTY",
                format!("the topic of pubsub `{}` is empty", self.pubsub),
            );
        }
        Ok(())
    }

    fn context<'s>(&'s self, sidecar: &'s Sidecar) -> Context<'s> {
        Context {
            app_id: &sidecar.options.app_id,
            pubsub: &self.pubsub,
            topic: &self.topic,
            trace: trace(self.headers, &sidecar.ids),
            trace_state: trace_state(self.headers),
            ids: &sidecar.ids,
        }
    }
}

/// `POST /v1.0/publish/{pubsub}/{topic}`: 204 once the event is durable.
pub(crate) async fn one(sidecar: &Sidecar, publishing: Publishing<'_>) -> Result<Response, Fault> {
    publishing.check(sidecar)?;
    let metadata = metadata(publishing.query);
    let context = publishing.context(sidecar);
    let message = wrap(&context, publishing.content_type(), &metadata, publishing.body.clone())?;
    sidecar.broker.publish(&publishing.topic, vec![message]).await.map_err(|error| refused(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The broker's own words: they name the topic.
fn refused(error: &Error) -> Fault {
    let status = match error.fault() {
        dozen_core::Fault::Caller => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Fault::new(status, "ERR_PUBSUB_PUBLISH_MESSAGE", chain(error))
}

/// `POST /v1.0/publish/bulk/{pubsub}/{topic}`: 204 once all events are durable. They are published together, so a
/// failure is one of all of them, and each entry is named in the answer.
pub(crate) async fn bulk(sidecar: &Sidecar, publishing: Publishing<'_>) -> Result<Response, Fault> {
    publishing.check(sidecar)?;
    let metadata = metadata(publishing.query);
    let unreadable = |why: String| Fault::bad_request("ERR_PUBSUB_EVENTS_SER", why);
    let entries: Vec<Value> = serde_json::from_slice(&publishing.body)
        .map_err(|error| unreadable(format!("the body must be a JSON array of entries: {error}")))?;
    let context = publishing.context(sidecar);
    let mut ids = Vec::with_capacity(entries.len());
    let mut messages = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let (id, message) = read_entry(&context, &metadata, entry)
            .map_err(|error| Fault { message: format!("entry {at}: {}", error.message), ..error })?;
        if ids.contains(&id) {
            return Err(unreadable(format!(
                "entry {at}: its `entryId` `{id}` is not the first of that name"
            )));
        }
        ids.push(id);
        messages.push(message);
    }
    if messages.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    match sidecar.broker.publish(&publishing.topic, messages).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => {
            let fault = refused(&error);
            let failed: Vec<Value> =
                ids.iter().map(|id| json!({ "entryId": id, "error": fault.message })).collect();
            let body = json!({ "failedEntries": failed, "errorCode": fault.code, "message": fault.message });
            Ok((StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response())
        }
    }
}

/// One entry: `entryId`, `event`, `contentType`, `metadata`, in any case.
fn read_entry(context: &Context<'_>, shared: &Metadata, entry: Value) -> Result<(String, Message), Fault> {
    let wrong = |why: &str| Fault::bad_request("ERR_PUBSUB_EVENTS_SER", why);
    let mut entry = fold(entry).ok_or_else(|| wrong("must be a JSON object"))?;
    let mut text = |name: &str| match entry.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let id = text("entryid").ok_or_else(|| wrong("needs a text `entryId`"))?;
    let content_type = text("contenttype").ok_or_else(|| wrong("needs a text `contentType`"))?;
    let mut metadata = shared.clone();
    metadata.extend(metadata_of(entry.remove("metadata")));
    let data = match entry.remove("event") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if is_binary(&content_type) => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.map_err(|_| wrong("has binary content, so its `event` must be base64"))?.into()
        }
        Some(Value::String(text)) if !is_json(&content_type) => text.into(),
        Some(value) => value.to_string().into(),
    };
    Ok((id, wrap(context, Some(&content_type), &metadata, data)?))
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

pub(crate) fn is_binary(content_type: &str) -> bool {
    media_type(content_type) == "application/octet-stream"
}

fn is_json(content_type: &str) -> bool {
    let kind = media_type(content_type);
    kind == "application/json" || kind.ends_with("+json")
}
