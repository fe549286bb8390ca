//! Publish/subscribe: publishers know topics, not subscribers; each subscription progresses on its own.
//!
//! ```text
//!   publish ──► stream `topic/NAME` ──┬── subscription `mail`   position 17, one retry    ──► pushed over HTTP
//!    schema,     one copy, however    ├── subscription `stock`  position 21               ──► pulled
//!    size, seal  many subscribe       └── subscription `audit`  position 3, catching up   ──► a sidecar's application
//!                                              `orders.>`, wants data.total > 100
//! ```
//!
//! A message is durable when [`Publisher::publish`] returns. A subscription is durable from the moment it is made: it
//! begins where it was told to and misses nothing, whether or not anybody is there to receive. One that fails or lags
//! holds no other back, because all it owns is its own position and the few messages it has in hand.
//!
//! A subscription names a topic, or a [`Pattern`] that stands for all topics that match it, those that are declared later
//! among them. What it wants of them it can say as an expression in CEL. Topics and subscriptions are declared, changed,
//! paused, moved and ended while everything runs; what is remembered of them stands in the store, so that every process
//! sees the same, and those that run take note.
//!
//! [`Publisher::publish`]: dozen_messaging::Publisher::publish

mod catalog;
mod filter;
pub mod http;
mod known;
mod manage;
mod opening;
mod pattern;
mod push;
mod pushing;
mod remembered;
mod status;
mod subscription;
mod topics;
mod upkeep;

#[cfg(test)]
mod tests;

pub use dozen_messaging::TopicSettings as TopicOptions;
pub use pattern::Pattern;
pub use push::{Mode, Push, SecretError, Secrets};
pub use pushing::Pushing;
pub use status::{SubscriptionStatus, TopicStatus};
pub use subscription::Subscription;
pub use topics::Topics;
