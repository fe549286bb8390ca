//! The sidecar: Dapr's HTTP API beside one application, in any language.
//!
//! ```text
//!              ┌──────────────── Sidecar ────────────────┐
//!  the app ───►│ publish ──► envelope ──► Publisher      │──► the broker
//!  (an SDK)    │ invoke  ──────────────────────► Caller  │──► another app's instance, as its service is called
//!              │ metadata · healthz · shutdown           │
//!  the app ◄───│ POST route ◄── Delivery ◄── Worker      │◄── its durable subscriptions
//!              └─────────────────────────────────────────┘
//! ```
//!
//! Dapr's SDKs work against it unmodified, over HTTP. What they rely on, beyond the documentation: field names in JSON
//! bodies are read without regard to case, a bare `?` is an empty query, `null` from a handler is an acknowledgement.
//!
//! The sidecar promises:
//! * *An event that was answered with 204 is durable*, a bulk of them all or none.
//! * *An event is done only when the app said so* (`SUCCESS` or `DROP`, or 404). While the app is away nothing is lost
//!   and no attempt is used up: a delivery in hand waits for the app, holding its lease, and what the app subscribes to
//!   is read again when it is back.
//! * *A call is made once.* Only a connection that could not be made is tried again, on another instance.
//! * *Whatever of Dapr's API is not here says so*: 501, `ERR_API_UNIMPLEMENTED`, and its name.

mod answer;
mod api;
mod channel;
mod delivery;
mod envelope;
mod fault;
mod invoke;
mod metadata;
mod options;
mod publish;
mod query;
mod sidecar;
mod subscription;
mod subscriptions;

pub use options::{Options, Secret};
pub use sidecar::Sidecar;
