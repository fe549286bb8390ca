//! Working: messages out, verdicts in.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dozen_core::Message;
use dozen_messaging::{Delivery, JournalSubscriber, Settlement};
use dozen_openapi::{Asked, Body, Extend, Handle, Nack, Named, Problem, Receiving, Which, answered};
use dozen_store::Entry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::queues::Queues;
use crate::Queue;

/// `POST …/receive`.
pub(super) async fn receive(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    Asked(asked): Asked<Receiving>,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let mut subscriber = queue.subscriber();
    if let Some(lease) = asked.lease()? {
        subscriber = subscriber.holding(lease);
    }
    dozen_openapi::receive(&queues.face, &subscriber, || subscriber.parts(), &queue.options().policy, &asked)
        .await
}

/// The body of an acknowledgement. With a reply, it is that of one message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    lease: Option<String>,
    leases: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    reply: Option<Value>,
}

/// A `null` that is there is a reply too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// `POST …/ack`.
pub(super) async fn ack(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let done: Done = body.read()?;
    let subscriber = queue.subscriber();
    let which = Which::read(done.lease, done.leases, &subscriber.parts())?;
    match done.reply {
        None => dozen_openapi::settle(&subscriber, &which, |_| Settlement::Done).await,
        Some(reply) => reply_to(&queue, &subscriber, &which, &reply).await,
    }
}

/// Acknowledgement and reply are one transaction: the sender never sees one without the other.
async fn reply_to(
    queue: &Queue,
    subscriber: &JournalSubscriber,
    which: &Which,
    reply: &Value,
) -> Result<Response, Problem> {
    let Some((handle, lease)) = which.alone() else {
        return Err(Problem::invalid("reply", "a `reply` answers one message: name it with `lease`"));
    };
    let reply = reply.to_string();
    let (bytes, bytes_max) = (reply.len() as u64, queue.options().bytes_max);
    if bytes > bytes_max {
        return Err(Problem::too_large("a reply", Some(bytes), bytes_max).at("reply"));
    }
    let entry = entry_of(queue, handle).await?.ok_or_else(Problem::lost)?;
    let delivery = Delivery {
        message: Message { id: entry.record.id, ..Message::default() },
        lease,
        attempts: handle.attempts,
        until: entry.at,
        stored: entry.at,
    };
    let mut tx = queue.store.begin().await?;
    if !subscriber.settle_in(&mut tx, lease, Settlement::Done).await? {
        return Err(Problem::lost());
    }
    queue.reply_in(&mut tx, &delivery, reply);
    queue.store.end(tx).await?;
    answered(which, &[true], |_| json!({}))
}

async fn entry_of(queue: &Queue, handle: &Handle) -> Result<Option<Entry>, Problem> {
    let before = handle.position.saturating_sub(1);
    let entries = queue.journal.read(&handle.stream.as_str().into(), before, 1).await?;
    Ok(entries.into_iter().find(|entry| entry.position == handle.position))
}

/// `POST …/nack`.
pub(super) async fn nack(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let nack: Nack = body.read()?;
    nack.answer(&queue.subscriber(), &queue.options().policy, &queues.face.ids).await
}

/// `POST …/extend`.
pub(super) async fn extend(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let extend: Extend = body.read()?;
    extend.answer(queue.subscriber()).await
}
