//! What can stand between a worker and its subscriber or handler.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Attribute, EndpointSet, chain};
use tokio::sync::watch;

use crate::{Circuit, Delivery, Error, Handler, Lease, Publisher, Settlement, Subscriber, Verdict};

/// Says when, and how much, may be received.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Returns once something may be received: how many messages, `max` at most. Cancel-safe.
    async fn room(&self, max: usize) -> Result<usize, Error>;
}

/// Receives only while a gate is open. What is not received uses up no attempt, however long that lasts.
pub struct While<G> {
    inner: Arc<dyn Subscriber>,
    gate: G,
}

impl<G: Gate> While<G> {
    /// `inner`, as `gate` allows.
    pub fn new(inner: Arc<dyn Subscriber>, gate: G) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl<G: Gate> Subscriber for While<G> {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        match tokio::time::timeout(wait, self.gate.room(max)).await {
            Ok(max) => self.inner.receive(max?, wait).await,
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error> {
        self.inner.settle(settlements).await
    }

    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error> {
        self.inner.extend(leases).await
    }

    fn lease(&self) -> Duration {
        self.inner.lease()
    }
}

/// Open while the service that handles has a healthy instance.
#[async_trait]
impl Gate for watch::Receiver<Arc<EndpointSet>> {
    async fn room(&self, max: usize) -> Result<usize, Error> {
        if self.clone().wait_for(|set| set.healthy().next().is_some()).await.is_err() {
            // Nobody will ever say that it is there.
            std::future::pending::<()>().await;
        }
        Ok(max)
    }
}

/// Open while the circuit is closed, and as wide as it asks for to probe. The handler must ask the same circuit.
#[async_trait]
impl Gate for Circuit {
    async fn room(&self, max: usize) -> Result<usize, Error> {
        Ok(Self::room(self, max).await)
    }
}

/// Publishes what is given up on a topic of its own, instead of keeping it as a dead letter in place.
pub struct DeadLetterTo {
    inner: Arc<dyn Handler>,
    publisher: Arc<dyn Publisher>,
    topic: String,
    attempts_max: u32,
}

impl DeadLetterTo {
    /// `inner`, with `topic` for what it refuses or fails at `attempts_max` times.
    pub fn new(
        inner: Arc<dyn Handler>,
        publisher: Arc<dyn Publisher>,
        topic: impl Into<String>,
        attempts_max: u32,
    ) -> Self {
        Self { inner, publisher, topic: topic.into(), attempts_max }
    }
}

#[async_trait]
impl Handler for DeadLetterTo {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let error = match self.inner.handle(delivery).await {
            Verdict::Poison(error) => error,
            Verdict::Failed(error) if delivery.attempts >= self.attempts_max => error,
            verdict => return verdict,
        };
        let mut letter = delivery.message.clone();
        letter.extensions.insert("dozenerror".into(), Attribute::Text(error.chars().take(1_000).collect()));
        match self.publisher.publish(&self.topic, vec![letter]).await {
            Ok(_) => Verdict::Drop(format!("moved to the topic `{}`: {error}", self.topic)),
            // Not lost: it is kept in place, and a person sees both errors.
            Err(why) => Verdict::Poison(format!("{error}; and {}", chain(&why))),
        }
    }
}
