//! Publish/subscribe: publishers know topics, not subscribers; each subscription progresses on its own.
//!
//! ```text
//!   publish ──► stream `topic/NAME` ──┬── subscription `mail`   position 17, one retry    ──► pushed over HTTP
//!                one copy, however    ├── subscription `stock`  position 21               ──► pulled
//!                many subscribe       └── subscription `audit`  position 3, catching up   ──► a sidecar's application
//! ```
//!
//! A message is durable when [`Publisher::publish`] returns. A subscription is durable from the moment it is made: it
//! begins where it was told to and misses nothing, whether or not anybody is there to receive. One that fails or lags
//! holds no other back, because all it owns is its own position and the few messages it has in hand.
//!
//! [`Publisher::publish`]: dozen_messaging::Publisher::publish

mod push;
mod topics;

pub use dozen_messaging::TopicSettings as TopicOptions;
pub use push::{Push, Resolve};
pub use topics::Topics;
