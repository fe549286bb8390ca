//! The dead letters of a queue or of a subscription, for whoever shows them and acts on them.

use dozen_core::Message;
use dozen_messaging::{DeadLetter, Error, Redriven, Selection};
use dozen_pubsub::Topics;
use dozen_queue::Queue;

/// Whose dead letters.
pub enum Letters {
    /// Those of a queue.
    Queue(Queue),
    /// Those of a subscription.
    Subscription {
        /// The topics of the store.
        topics: Topics,
        /// The topic, or the pattern that stands for its topics.
        pattern: String,
        /// Its name.
        name: String,
    },
}

/// What to do with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hand them out again, with their attempts counted anew.
    Redrive,
    /// Forget them for good.
    Discard,
}

impl Letters {
    /// As it is called in sentences.
    pub fn whose(&self) -> String {
        match self {
            Self::Queue(queue) => format!("queue `{}`", queue.name()),
            Self::Subscription { pattern, name, .. } => format!("subscription `{name}` of `{pattern}`"),
        }
    }

    /// Those that `selection` means, with sealed payloads opened where the keys are there.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<DeadLetter>, Error> {
        match self {
            Self::Queue(queue) => queue.dead_letters_where(selection).await,
            Self::Subscription { topics, pattern, name } => {
                topics.dead_letters(pattern, name, selection).await
            }
        }
    }

    /// Acts on those that `selection` means; redrives `rate` a second at most, if given.
    pub async fn act(&self, act: Act, selection: &Selection, rate: Option<f64>) -> Result<Redriven, Error> {
        match (self, act) {
            (Self::Queue(queue), Act::Redrive) => queue.redrive(selection, rate).await,
            (Self::Queue(queue), Act::Discard) => queue.discard(selection).await,
            (Self::Subscription { topics, pattern, name }, Act::Redrive) => {
                topics.redrive(pattern, name, selection, rate).await
            }
            (Self::Subscription { topics, pattern, name }, Act::Discard) => {
                topics.discard(pattern, name, selection).await
            }
        }
    }

    /// Gives the one at `position` another content; says whether it was there.
    pub async fn edit(&self, position: u64, message: Message) -> Result<bool, Error> {
        match self {
            Self::Queue(queue) => queue.edit(position, message).await,
            Self::Subscription { topics, pattern, name } => {
                topics.edit(pattern, name, position, message).await
            }
        }
    }
}
