//! Dead letters.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dozen_messaging::{DeadLetters, Part};
use dozen_openapi::{Asked, Body, Fill, LookAtDead, Named, Problem, SelectDead, edit_dead, one_message};
use http::HeaderMap;

use super::queues::Queues;
use crate::Queue;

fn of(queue: &Queue, parts: Arc<[Part]>) -> DeadLetters {
    DeadLetters::of(&queue.store, parts, format!("queue `{}`", queue.name()))
        .with_keys(queue.keys.clone(), queue.options().sealed)
}

fn all(queue: &Queue) -> DeadLetters {
    of(queue, queue.subscriber().parts())
}

/// `GET …/dead`.
pub(super) async fn look(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    Asked(asked): Asked<LookAtDead>,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    asked.answer(&queue.subscriber().parts(), |parts| of(&queue, parts)).await
}

/// `POST …/dead/redrive`.
pub(super) async fn redrive(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    body.read::<SelectDead>()?.redrive(&all(&queue)).await
}

/// `POST …/dead/purge`.
pub(super) async fn purge(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    body.read::<SelectDead>()?.purge(&all(&queue)).await
}

/// `PUT …/dead/{position}`.
pub(super) async fn edit(
    State(queues): State<Arc<Queues>>,
    Named((name, position)): Named<(String, u64)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    let source = format!("/queue/{name}");
    let fill = Fill { source: &source, kind: None, key: None, ids: &queues.face.ids };
    edit_dead(&all(&queue), position, one_message(&headers, body, &fill)?).await
}
