//! What can stand between a worker and its subscriber or handler.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Attribute, EndpointSet, chain};
use tokio::sync::watch;

use crate::{Circuit, Delivery, Error, Handler, Lease, Publisher, Settlement, Subscriber, Verdict};

/// Receives only while the service that handles is there: a service that is away uses up no attempt, however long.
pub struct WhileHealthy {
    inner: Arc<dyn Subscriber>,
    endpoints: watch::Receiver<Arc<EndpointSet>>,
}

impl WhileHealthy {
    /// `inner`, while `endpoints` has a healthy one.
    pub fn new(inner: Arc<dyn Subscriber>, endpoints: watch::Receiver<Arc<EndpointSet>>) -> Self {
        Self { inner, endpoints }
    }
}

#[async_trait]
impl Subscriber for WhileHealthy {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let mut endpoints = self.endpoints.clone();
        let healthy = async { endpoints.wait_for(|set| set.healthy().next().is_some()).await.is_ok() };
        match tokio::time::timeout(wait, healthy).await {
            Ok(true) => {}
            // Nobody will ever say that it is there; the loop above must not spin on that.
            Ok(false) => {
                tokio::time::sleep(wait).await;
                return Ok(Vec::new());
            }
            Err(_) => return Ok(Vec::new()),
        }
        self.inner.receive(max, wait).await
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

/// Receives only while a [`Circuit`] is closed, and as much as it asks for to probe.
pub struct WhileClosed {
    inner: Arc<dyn Subscriber>,
    circuit: Circuit,
}

impl WhileClosed {
    /// `inner`, as `circuit` allows. The handler must ask the same circuit.
    pub fn new(inner: Arc<dyn Subscriber>, circuit: Circuit) -> Self {
        Self { inner, circuit }
    }
}

#[async_trait]
impl Subscriber for WhileClosed {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        match tokio::time::timeout(wait, self.circuit.room(max)).await {
            Ok(max) => self.inner.receive(max, wait).await,
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
