//! The ports.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Message, Timestamp, Token};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Makes messages durable on a named topic or queue.
///
/// * Once `publish` returns `Ok`, every message survives a crash of this process and of the machine.
/// * All of the messages or none: also when the future is dropped before it completes.
/// * Messages with the same key are handed out in the order of the calls that returned before the next began.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes `messages`, in order.
    async fn publish(&self, destination: &str, messages: Vec<Message>) -> Result<Token, Error>;
}

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With what is published after it was made.
    #[default]
    Latest,
    /// With the oldest message that is kept.
    Earliest,
    /// With the first message whose position is greater.
    After(u64),
    /// With the first message that was stored at this moment or later.
    At(Timestamp),
}

impl From<Start> for dozen_store::Start {
    fn from(start: Start) -> Self {
        match start {
            Start::Latest => Self::Latest,
            Start::Earliest => Self::Earliest,
            Start::After(position) => Self::After(position),
            Start::At(moment) => Self::At(moment),
        }
    }
}

/// What a subscription is made with. `None` is what it was made with before, or the broker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Where it begins when it is new. A subscription that exists goes on where it was.
    pub start: Start,
    /// How long a receiver may hold a message.
    pub lease: Option<Duration>,
    /// Which messages it wants, as an expression in CEL. An empty text is all of them.
    pub filter: Option<String>,
    /// How many messages of one key may be out at a time. With 1, the default, their order is strict.
    pub per_key: Option<u32>,
}

/// Topics that can be subscribed to.
#[async_trait]
pub trait Broker: Publisher {
    /// Opens the durable subscription `name` on `topic`, making it where it does not exist.
    async fn subscribe(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscriber>, Error>;

    /// Ends a subscription: its position, what it has in hand and its dead letters are forgotten. Says whether it was there.
    async fn unsubscribe(&self, topic: &str, name: &str) -> Result<bool, Error>;

    /// The names of the topics that exist.
    async fn topics(&self) -> Result<Vec<String>, Error>;
}

/// The right to settle one delivery: which message, and under which lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The message's position in its stream.
    pub position: u64,
    /// Which lease of it; a later one makes this one void.
    pub fence: u64,
    /// Which of the subscriber's streams, where it has several.
    pub part: u32,
}

/// A message in a receiver's hands.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// What to settle it with.
    pub lease: Lease,
    /// How often it has been handed out, this time included.
    pub attempts: u32,
    /// When the lease ends unless it is extended.
    pub until: Timestamp,
    /// When the message was stored.
    pub stored: Timestamp,
}

/// How a delivery ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It has been handled.
    Done,
    /// Hand it out again, not before `at`. `error` joins its history.
    Retry {
        /// Not before this moment.
        at: Timestamp,
        /// Why it was not handled.
        error: String,
    },
    /// Give up: it becomes a dead letter, and what follows it under its key waits for a person.
    Park {
        /// Why.
        error: String,
    },
    /// Never hand it out again, and do not keep it as a dead letter.
    Drop {
        /// Why, for its journey.
        reason: String,
    },
}

/// Which messages a subscription wants.
pub trait Filter: Send + Sync + 'static {
    /// Whether it wants this one. Quick and pure: it is asked once for each message and subscription.
    fn wants(&self, message: &Message) -> bool;
}

/// Hands out messages under leases.
///
/// * A message is handed to one receiver at a time; again when its lease ends or it is settled with `Retry`.
/// * Messages of one key are handed out one after the other, in order.
/// * `receive` is cancel-safe: messages leased by a call that is dropped come back when their lease ends.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// Up to `max` messages; waits up to `wait` for the first. An empty answer means that none came.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error>;

    /// Ends deliveries. The answer says for each whether it took effect: `false` means that the lease had passed on
    /// and nothing was changed.
    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error>;

    /// Holds deliveries for longer, counted from now. `false` for those whose lease had passed on.
    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error>;

    /// How long a lease lasts from the moment it is given or extended.
    fn lease(&self) -> Duration;
}
