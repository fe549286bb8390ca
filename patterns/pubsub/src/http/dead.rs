//! Dead letters of a subscription.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dozen_openapi::{Asked, Body, Fill, LookAtDead, Named, Problem, SelectDead, edited, one_message};
use http::HeaderMap;

use super::subscribing::Which;

/// `GET …/{name}/dead`.
pub(super) async fn look(
    State(state): State<Arc<super::State>>,
    Named((pattern, name)): Named<Which>,
    Asked(asked): Asked<LookAtDead>,
) -> Result<Response, Problem> {
    asked.answer(&state.topics.dead(&pattern, &name).await?).await
}

/// `POST …/{name}/dead/redrive`.
pub(super) async fn redrive(
    State(state): State<Arc<super::State>>,
    Named((pattern, name)): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let dead = state.topics.dead(&pattern, &name).await?;
    body.read::<SelectDead>()?.redrive(&dead).await
}

/// `POST …/{name}/dead/purge`.
pub(super) async fn purge(
    State(state): State<Arc<super::State>>,
    Named((pattern, name)): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let dead = state.topics.dead(&pattern, &name).await?;
    body.read::<SelectDead>()?.purge(&dead).await
}

/// `PUT …/{name}/dead/{position}`.
pub(super) async fn edit(
    State(state): State<Arc<super::State>>,
    Named((pattern, name, position)): Named<(String, String, u64)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let source = format!("/topic/{pattern}");
    let fill = Fill { source: &source, kind: None, key: None, ids: &state.face.ids };
    let message = one_message(&headers, body, &fill)?;
    edited(position, state.topics.edit(&pattern, &name, position, message).await?)
}
