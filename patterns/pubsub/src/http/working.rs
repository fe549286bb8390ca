//! Working a subscription: messages out, verdicts in.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dozen_messaging::{JournalSubscriber, Policy};
use dozen_openapi::{Ack, Asked, Body, Extend, Nack, Named, Problem, Receiving};

use super::subscribing::Which;

/// `POST …/{name}/receive`.
pub(super) async fn receive(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    Asked(asked): Asked<Receiving>,
) -> Result<Response, Problem> {
    let subscription = state.subscription(&which).await?;
    let policy = Policy::default();
    match asked.lease()? {
        None => {
            let parts = || subscription.parts();
            dozen_openapi::receive(&state.face, &subscription, parts, &policy, &asked).await
        }
        Some(lease) => {
            let subscriber = JournalSubscriber::from(subscription).holding(lease);
            let parts = || subscriber.parts();
            dozen_openapi::receive(&state.face, &subscriber, parts, &policy, &asked).await
        }
    }
}

/// `POST …/{name}/ack`.
pub(super) async fn ack(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let subscriber = state.subscription(&which).await?.into();
    body.read::<Ack>()?.answer(&subscriber).await
}

/// `POST …/{name}/nack`.
pub(super) async fn nack(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let subscriber = state.subscription(&which).await?.into();
    body.read::<Nack>()?.answer(&subscriber, &Policy::default(), &state.face.ids).await
}

/// `POST …/{name}/extend`.
pub(super) async fn extend(
    State(state): State<Arc<super::State>>,
    Named(which): Named<Which>,
    body: Body,
) -> Result<Response, Problem> {
    let subscriber = state.subscription(&which).await?.into();
    body.read::<Extend>()?.answer(subscriber).await
}
