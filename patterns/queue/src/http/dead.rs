//! Dead letters.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dozen_openapi::{Asked, Body, Fill, LookAtDead, Named, Problem, SelectDead, edited, one_message};
use http::HeaderMap;

use super::queues::Queues;

/// `GET …/dead`.
pub(super) async fn look(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    Asked(asked): Asked<LookAtDead>,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    asked.answer(&queue.dead()).await
}

/// `POST …/dead/redrive`.
pub(super) async fn redrive(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    body.read::<SelectDead>()?.redrive(&queue.dead()).await
}

/// `POST …/dead/purge`.
pub(super) async fn purge(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    let queue = queues.get(&name).await?;
    body.read::<SelectDead>()?.purge(&queue.dead()).await
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
    let message = one_message(&headers, body, &fill)?;
    edited(position, queue.edit(position, message).await?)
}
