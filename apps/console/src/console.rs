//! What all pages share.

use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_lifecycle::Stop;
use dozen_pubsub::Pattern;
use dozen_queue::{Overview, Queue};
use dozen_store::Journal;

use crate::letters::Letters;
use crate::live::Live;
use crate::{Error, Sources};

/// The console's state, one for the process.
pub(crate) struct Console {
    pub(crate) sources: Sources,
    pub(crate) journal: Journal,
    pub(crate) live: Live,
    /// What every form of this process carries.
    pub(crate) token: String,
    /// Ends the pages that follow.
    pub(crate) stop: Stop,
}

/// How handlers get at it.
pub(crate) type Shared = axum::extract::State<Arc<Console>>;

impl Console {
    pub(crate) fn new(sources: Sources, stop: Stop) -> Result<Self, Error> {
        let journal = sources.store.journal();
        Ok(Self { live: Live::new(journal.clone()), journal, sources, token: random()?, stop })
    }

    /// The queue `name`, which must be in the file or in the store: looking makes none.
    pub(crate) async fn queue(&self, name: &str) -> Result<Queue, Error> {
        let declared = (self.sources.queues)().iter().any(|queue| queue.name == name);
        let known =
            declared || Overview::of(&self.sources.store).await?.iter().any(|queue| queue.name == name);
        if !known {
            return Err(Error::Unknown { kind: "queue", name: name.to_owned(), hint: crate::queue::HINT });
        }
        let queue = Queue::open(&self.sources.store, name, self.sources.ids.clone()).await?;
        Ok(queue.with_keys(self.sources.keys.clone()))
    }

    pub(crate) async fn letters_of_queue(&self, name: &str) -> Result<Letters, Error> {
        Ok(Letters::Queue(self.queue(name).await?))
    }

    pub(crate) async fn letters_of_subscription(&self, topic: &str, name: &str) -> Result<Letters, Error> {
        let pattern = self.pattern_of(topic, name).await?;
        Ok(Letters::Subscription { topics: self.sources.broker.clone(), pattern, name: name.to_owned() })
    }

    /// What the subscription `name` that hears of `topic` was made with: the topic itself, or a pattern.
    pub(crate) async fn pattern_of(&self, topic: &str, name: &str) -> Result<String, Error> {
        let statuses = self.sources.broker.subscriptions().await?;
        let own = statuses.into_iter().find(|status| status.name == name && hears(&status.topic, topic));
        own.map(|status| status.topic).ok_or_else(|| Error::Unknown {
            kind: "subscription",
            name: name.to_owned(),
            hint: "; it was ended, or never made",
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sources.store.clock().now()
    }
}

/// Whether a subscription to `pattern` hears of `topic`.
pub(crate) fn hears(pattern: &str, topic: &str) -> bool {
    pattern == topic || Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(topic))
}

/// 128 bits that nobody can guess, as text. Not from `Ids`, whose numbers follow from a seed.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
