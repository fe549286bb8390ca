//! Sending, and learning what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use dozen_core::Timestamp;
use dozen_openapi::{Asked, Body, Fill, Moment, Named, Problem, Span, failures, messages};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::queues::Queues;
use crate::{Completion, Queue, Sending, Sent};

/// How long a unique name is taken unless the sender says otherwise, and at most.
const UNIQUE: Duration = Duration::from_secs(3600);
const UNIQUE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the query of a send may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Options {
    #[serde(rename = "type")]
    kind: Option<String>,
    key: Option<String>,
    delay: Option<Span>,
    at: Option<Moment>,
    #[serde(default)]
    priority: u8,
    expires: Option<String>,
    unique: Option<String>,
    unique_for: Option<Span>,
    wait: Option<Span>,
}

impl Options {
    fn sending(&self, now: Timestamp) -> Result<Sending, Problem> {
        let due = match (self.delay, self.at) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("query delay", "name either a `delay` or a moment with `at`"));
            }
            (Some(Span(delay)), None) => Some(now.after(delay)),
            (None, at) => at.map(|Moment(moment)| moment),
        };
        let expires = match &self.expires {
            None => None,
            Some(text) => match dozen_core::duration::parse(text) {
                Some(length) => Some(now.after(length)),
                None => Some(Timestamp::parse(text).ok_or_else(|| {
                    let why = format!("`{text}` is neither a duration such as `5m` nor an RFC 3339 moment");
                    Problem::invalid("query expires", why)
                })?),
            },
        };
        let unique = match (&self.unique, self.unique_for) {
            (None, Some(_)) => {
                return Err(Problem::invalid("query unique-for", "`unique-for` needs a name: `unique=NAME`"));
            }
            (None, None) => None,
            (Some(name), window) => {
                if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
                    let why = "a unique name has 1 to 200 characters, none of them a control character";
                    return Err(Problem::invalid("query unique", why));
                }
                Some((name.clone(), window.map_or(UNIQUE, |Span(window)| window.min(UNIQUE_MAX))))
            }
        };
        Ok(Sending { due, priority: self.priority, expires, unique })
    }
}

/// `POST …/messages`.
pub(super) async fn send(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    Asked(options): Asked<Options>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let source = format!("/queue/{name}");
    let (kind, key) = (options.kind.as_deref(), options.key.as_deref());
    let fill = Fill { source: &source, kind, key, ids: &queues.face.ids };
    let messages = messages(&headers, body, &fill)?;
    let sending = options.sending(queues.face.ids.clock().now())?;
    let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
    if options.wait.is_some() && ids.len() != 1 {
        return Err(Problem::invalid("query wait", "only one message at a time can be waited for"));
    }
    // Before the send: a refusal to wait must not leave a message behind.
    let waiter =
        options.wait.map(|Span(wait)| Ok::<_, Problem>((wait, queues.face.waiter()?))).transpose()?;
    let token = match queue.send_with(messages, sending).await? {
        Sent::Duplicate { of } => return Ok(Json(json!({ "duplicate": true, "of": of })).into_response()),
        Sent::New(token) => token.to_string(),
    };
    let mut told = json!({ "duplicate": false, "ids": ids, "token": token });
    let Some(_waiter) = waiter else { return Ok((StatusCode::CREATED, Json(told)).into_response()) };
    let id = ids.first().map_or("", String::as_str);
    let ended = tokio::select! { biased;
        ended = queue.completion(id, queues.face.wait(options.wait)) => ended?,
        () = queues.face.closing() => queue.completion(id, Duration::ZERO).await?,
    };
    let mut status = StatusCode::ACCEPTED;
    if let Some(completion) = ended {
        if completion.status.step.is_final() {
            status = StatusCode::OK;
        }
        told["status"] = completed(id, &completion);
    }
    Ok((status, Json(told)).into_response())
}

/// The query of a status.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    wait: Option<Span>,
}

/// `GET …/messages/{id}`.
pub(super) async fn status(
    State(queues): State<Arc<Queues>>,
    Named((name, id)): Named<(String, String)>,
    Asked(Waiting { wait }): Asked<Waiting>,
) -> Result<Json<Value>, Problem> {
    let queue = queues.get(&name).await?;
    let completion = look(&queues, &queue, &id, queues.face.wait(wait)).await?;
    match completion {
        Some(completion) => Ok(Json(completed(&id, &completion))),
        None => Err(Problem {
            help: "the id may be wrong, or the message was finished longer ago than the queue keeps it"
                .into(),
            ..Problem::unknown("message", &id, &[])
        }),
    }
}

async fn look(
    queues: &Queues,
    queue: &Queue,
    id: &str,
    wait: Duration,
) -> Result<Option<Completion>, Problem> {
    if wait.is_zero() || id.chars().any(char::is_control) {
        // No message has such an id, and not every engine can be asked for one.
        let known = if id.chars().any(char::is_control) { None } else { queue.completion(id, wait).await? };
        return Ok(known);
    }
    queues.face.waiting(queue.completion(id, wait)).await
}

fn completed(id: &str, completion: &Completion) -> Value {
    let status = &completion.status;
    let moment = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    let mut told = json!({
        "id": id,
        "position": status.position,
        "sent": status.sent.to_string(),
        "step": status.step,
        "finished": status.step.is_final(),
        "attempts": status.attempts,
        "handed-out": moment(status.handed_out),
        "ended": moment(status.ended),
        "errors": failures(&status.errors),
    });
    if let Some(reply) = &completion.reply {
        let (name, value) = replied(reply);
        told[name] = value;
    }
    told
}

/// A reply as JSON where it is JSON, and in base64 where it is not.
fn replied(reply: &Bytes) -> (&'static str, Value) {
    match serde_json::from_slice(reply) {
        Ok(value) => ("reply", value),
        Err(_) => ("reply-base64", BASE64.encode(reply).into()),
    }
}
