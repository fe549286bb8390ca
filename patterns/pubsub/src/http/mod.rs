//! Topics over HTTP, for publishers and subscribers in any language.
//!
//! ```text
//! POST   /dozen/v1/topics/{topic}/messages               publishes one message or a batch; durable when it answers
//! GET    /dozen/v1/topics/{topic}/events                 what is published from now on, as server-sent events
//!
//! PUT    /dozen/v1/topics/{topic}/subscriptions/{name}   a durable subscription; {topic} may be a pattern: `orders.>`
//! POST   …/{name}/receive, /ack, /nack, /extend          as with queues: messages under leases
//! POST   …/{name}/seek, /pause, /resume                  moves it, lets it rest
//! GET    …/{name}/dead; /dead/redrive, /dead/purge, PUT /dead/{position}
//! DELETE …/{name}                                        ends it
//!
//! GET    /dozen/v1/topics, /{topic}, /{topic}/subscriptions
//! ```
//!
//! The events of a topic are a look at it, for pages and terminals: nothing is remembered of who looks, and a client that
//! reconnects says how far it was (`Last-Event-ID`). With `?subscription=NAME&ack=auto` they are those of a durable
//! subscription, where what was written to the socket is done; a client that wants to say so itself receives instead.
//!
//! [`OPENAPI`] describes the operations; a test holds it against the table in [`router`].

mod dead;
mod events;
mod subscribing;
#[cfg(test)]
mod tests;
mod topics;
mod working;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use dozen_openapi::{Face, Route, routed};

use crate::Topics;

/// The fragment of the OpenAPI document that describes these operations.
pub const OPENAPI: &str = include_str!("openapi.json");

/// What the operations work on.
struct State {
    face: Face,
    topics: Topics,
}

/// The operations on `topics`.
pub fn router(face: Face, topics: Topics) -> Router {
    routed(routes(), Arc::new(State { face, topics }))
}

fn routes() -> Vec<Route<Arc<State>>> {
    let route = |method, path, handler| Route { method, path, handler };
    vec![
        route("get", "/dozen/v1/topics", get(topics::list)),
        route("get", "/dozen/v1/topics/{topic}", get(topics::one)),
        route("post", "/dozen/v1/topics/{topic}/messages", post(topics::publish)),
        route("get", "/dozen/v1/topics/{topic}/events", get(events::events)),
        route("get", "/dozen/v1/topics/{topic}/subscriptions", get(subscribing::list)),
        route("get", "/dozen/v1/topics/{topic}/subscriptions/{name}", get(subscribing::one)),
        route("put", "/dozen/v1/topics/{topic}/subscriptions/{name}", put(subscribing::subscribe)),
        route("delete", "/dozen/v1/topics/{topic}/subscriptions/{name}", delete(subscribing::unsubscribe)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/seek", post(subscribing::seek)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/pause", post(subscribing::pause)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/resume", post(subscribing::resume)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/receive", post(working::receive)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/ack", post(working::ack)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/nack", post(working::nack)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/extend", post(working::extend)),
        route("get", "/dozen/v1/topics/{topic}/subscriptions/{name}/dead", get(dead::look)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/dead/redrive", post(dead::redrive)),
        route("post", "/dozen/v1/topics/{topic}/subscriptions/{name}/dead/purge", post(dead::purge)),
        route("put", "/dozen/v1/topics/{topic}/subscriptions/{name}/dead/{position}", put(dead::edit)),
    ]
}
