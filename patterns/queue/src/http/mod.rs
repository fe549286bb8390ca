//! Queues over HTTP, for senders and workers in any language.
//!
//! ```text
//! POST /dozen/v1/queues/{queue}/messages          one message or a batch; durable when it answers
//! GET  /dozen/v1/queues/{queue}/messages/{id}     what became of one; ?wait=30s until it is finished
//!
//! POST /dozen/v1/queues/{queue}/receive           messages under leases; ?wait=20s until there is one
//! POST /dozen/v1/queues/{queue}/ack               done, with a reply if one is wanted
//! POST /dozen/v1/queues/{queue}/nack              not done: again with back-off, or a dead letter
//! POST /dozen/v1/queues/{queue}/extend            not done yet
//!
//! GET  /dozen/v1/queues                           all of them; …/{queue} for one
//! POST /dozen/v1/queues/{queue}/pause, /resume    its workers rest, or go on
//! GET  /dozen/v1/queues/{queue}/dead              dead letters; /dead/redrive, /dead/purge, PUT /dead/{position}
//! ```
//!
//! A lease is a text that any process on the same store can settle, so workers may sit behind a balancer and outlive the
//! process that they received from. A worker that dies says nothing, and its message is handed out again when the lease
//! ends, up to the queue's number of attempts.
//!
//! [`OPENAPI`] describes the operations; a test holds it against the table in [`router`].

mod dead;
mod queues;
mod sending;
#[cfg(test)]
mod tests;
mod working;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use dozen_openapi::{Face, Route, routed};

use queues::Queues;

/// The fragment of the OpenAPI document that describes these operations.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The operations on the queues of `face`'s store.
pub fn router(face: Face) -> Router {
    routed(routes(), Arc::new(Queues::new(face)))
}

fn routes() -> Vec<Route<Arc<Queues>>> {
    let route = |method, path, handler| Route { method, path, handler };
    vec![
        route("get", "/dozen/v1/queues", get(queues::list)),
        route("get", "/dozen/v1/queues/{queue}", get(queues::one)),
        route("post", "/dozen/v1/queues/{queue}/pause", post(queues::pause)),
        route("post", "/dozen/v1/queues/{queue}/resume", post(queues::resume)),
        route("post", "/dozen/v1/queues/{queue}/messages", post(sending::send)),
        route("get", "/dozen/v1/queues/{queue}/messages/{id}", get(sending::status)),
        route("post", "/dozen/v1/queues/{queue}/receive", post(working::receive)),
        route("post", "/dozen/v1/queues/{queue}/ack", post(working::ack)),
        route("post", "/dozen/v1/queues/{queue}/nack", post(working::nack)),
        route("post", "/dozen/v1/queues/{queue}/extend", post(working::extend)),
        route("get", "/dozen/v1/queues/{queue}/dead", get(dead::look)),
        route("post", "/dozen/v1/queues/{queue}/dead/redrive", post(dead::redrive)),
        route("post", "/dozen/v1/queues/{queue}/dead/purge", post(dead::purge)),
        route("put", "/dozen/v1/queues/{queue}/dead/{position}", put(dead::edit)),
    ]
}
