//! The ports that messages pass through, and the loop that handles them.
//!
//! ```text
//!  Publisher ──► a topic or queue, wherever it lives ──► Subscriber ──► Worker ──► Handler
//!                                                           ▲                        │
//!                                                           └──────── verdict ◄──────┘
//! ```
//!
//! A [`Publisher`] makes messages durable. A [`Subscriber`] hands them out under a lease and settles them. A
//! [`Worker`] stands between a subscriber and a [`Handler`]: it bounds how much is handled at once, keeps leases
//! alive while the work lasts, turns a [`Verdict`] into a settlement by the rules of [`Policy`], and stops in two
//! stages. Queue workers, pushed subscriptions, relays and sidecars are all this one loop with another handler.

mod admission;
mod circuit;
mod dead;
mod declared;
mod effect;
mod error;
mod journal;
mod middleware;
mod policy;
mod port;
mod rate;
mod seal;
mod typed;
mod worker;

pub use admission::Admission;
pub use circuit::{Circuit, CircuitOptions, CircuitState, CircuitStatus, Permit};
pub use dead::{DeadLetter, DeadLetters, Redriven, Selection};
pub use declared::{Compatibility, TopicSettings, declare, declared, unknown};
pub use dozen_derive::Message;
pub use effect::{Class, Classify, Context, Each, Effect, EffectError, HandlerFn, Once};
pub use error::Error;
pub use journal::{Among, JournalSubscriber, Part};
pub use middleware::{DeadLetterTo, Gate, While};
pub use policy::Policy;
pub use port::{
    Broker, Delivery, Filter, Lease, Publisher, Settlement, Start, Subscriber, SubscriptionOptions,
};
pub use rate::Rate;
pub use seal::{Keyring, SealError};
pub use typed::{DecodeError, Typed, decode, encode, read, version};
pub use worker::{Handler, Verdict, Worker, WorkerOptions};
