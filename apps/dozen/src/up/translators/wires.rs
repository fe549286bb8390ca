//! From a topic or a queue to another through a translator: messages of others in, ours out.
//!
//! ```text
//!  topic ─► subscription ─┐                        ┌ begin ── append to topic or queue ── acknowledge ── commit ┐
//!                         ├─► Worker ─► Translator ┤                                                            │
//!  queue ─────────────────┘   bounds    asks others└ a dead letter at once, or again later ◄── what failed ─────┘
//! ```
//!
//! While a queue that results go to is full, nothing is taken.
//!
//! The translator asks before the transaction is opened. The result and the acknowledgement are one transaction, so a message
//! that is delivered twice has one result. A result that nothing gets is the reply to a message of a queue.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::Ids;
use dozen_lifecycle::Service;
use dozen_messaging::{
    Delivery, EffectError, Handler, JournalSubscriber, Settlement, Subscriber, SubscriptionOptions, Verdict,
    While, Worker, WorkerOptions,
};
use dozen_pubsub::{Subscription, Topics};
use dozen_queue::Queue;
use dozen_store::{Store, Tx};

use super::super::Parts;
use super::super::messages::Messages;
use super::super::metrics::{Tallies, Tally};
use super::Current;
use crate::Error;
use crate::config::{App, End, Wire};

/// What the wires of a file need.
pub(crate) struct Wires<'a> {
    pub(crate) store: &'a Store,
    pub(crate) messages: &'a Messages,
    pub(crate) ids: &'a Ids,
    pub(crate) tallies: &'a Tallies,
}

impl Wires<'_> {
    /// One worker for each translator that reads a topic or a queue. All miss nothing from now on.
    pub(crate) async fn workers(&self, app: &App, current: &Arc<Current>) -> Result<Parts, Error> {
        let mut workers = Parts::new();
        for wire in &app.translators.wires {
            let name = format!("translator {} of {}", wire.translator, wire.from);
            workers.push((name.clone(), self.worker(name, wire, current).await?));
        }
        Ok(workers)
    }

    async fn worker(
        &self,
        name: String,
        wire: &Wire,
        current: &Arc<Current>,
    ) -> Result<Arc<dyn Service>, Error> {
        let to = wire.to.as_ref().and_then(|(to, kind)| Some((self.destination(to)?, kind.clone())));
        // A message that is taken and cannot be passed on would use up its attempts.
        let with_room = |subscriber: Arc<dyn Subscriber>| -> Arc<dyn Subscriber> {
            match &to {
                Some((To::Queue(queue), _)) => Arc::new(While::new(subscriber, queue.clone())),
                _ => subscriber,
            }
        };
        let through = |from| Through {
            current: current.clone(),
            translator: wire.translator.clone(),
            store: self.store.clone(),
            from,
            to: to.clone(),
        };
        match &wire.from {
            End::Topic(topic) => {
                let options = SubscriptionOptions { start: wire.start, ..SubscriptionOptions::default() };
                let opened = self.messages.topics.subscription(topic, &wire.translator, options).await;
                let opened = opened.map_err(Error::pattern("open the subscriptions of translators"))?;
                let counts = self.tallies.of(topic, &wire.translator);
                let handler = Tally::new(Arc::new(through(Origin::Topic(opened.clone()))), counts);
                let options = WorkerOptions {
                    running_max: wire.in_flight_max,
                    policy: wire.policy,
                    ..WorkerOptions::default()
                };
                let subscriber = with_room(Arc::new(opened));
                Ok(Arc::new(Worker::new(name, subscriber, Arc::new(handler), options, self.ids.clone())))
            }
            End::Queue(name) => {
                let queues = self.messages.by_name();
                // `check` has seen that it is there.
                let queue =
                    queues.get(name).ok_or_else(|| Error::Usage(format!("there is no queue `{name}`")))?;
                let subscriber = with_room(Arc::new(queue.subscriber()));
                let from = Origin::Queue(queue.clone(), queue.subscriber());
                Ok(Arc::new(queue.worker_through(subscriber, Arc::new(through(from)), wire.in_flight_max)))
            }
        }
    }

    fn destination(&self, end: &End) -> Option<To> {
        match end {
            End::Topic(name) => Some(To::Topic(self.messages.topics.clone(), name.clone())),
            End::Queue(name) => self.messages.by_name().remove(name).map(To::Queue),
        }
    }
}

/// Where messages come from, and so where they are acknowledged.
enum Origin {
    Topic(Subscription),
    Queue(Queue, JournalSubscriber),
}

impl Origin {
    async fn settle_in(&self, tx: &mut Tx, delivery: &Delivery) -> Result<bool, dozen_store::Error> {
        match self {
            Self::Topic(subscription) => subscription.settle_in(tx, delivery.lease, Settlement::Done).await,
            Self::Queue(_, subscriber) => subscriber.settle_in(tx, delivery.lease, Settlement::Done).await,
        }
    }
}

/// Where results go.
#[derive(Clone)]
enum To {
    Topic(Topics, String),
    Queue(Queue),
}

/// Handles with the translator as it is now.
struct Through {
    current: Arc<Current>,
    translator: String,
    store: Store,
    from: Origin,
    to: Option<(To, String)>,
}

impl Through {
    async fn run(&self, delivery: &Delivery) -> Result<(), EffectError> {
        // A reload keeps the names as they are.
        let gone = || EffectError(Verdict::Failed("there is no such translator now".into()));
        let translator = self.current.get(&self.translator).ok_or_else(gone)?;
        let message = &delivery.message;
        let output = translator.take(message).await.map_err(EffectError)?;
        let mut tx = match &self.to {
            None => {
                let reply = match &self.from {
                    Origin::Queue(queue, _) => {
                        Some((queue, translator.written(&output).map_err(EffectError)?))
                    }
                    Origin::Topic(_) => None,
                };
                let mut tx = self.store.begin().await?;
                if let Some((queue, reply)) = reply {
                    queue.reply_in(&mut tx, delivery, reply);
                }
                tx
            }
            Some((To::Topic(topics, name), kind)) => {
                let made = translator.message(message, &output, kind).map_err(EffectError)?;
                let publishing = topics.publishing(name, vec![made]).await?;
                let mut tx = self.store.begin().await?;
                tx.defer(publishing);
                tx
            }
            Some((To::Queue(queue), kind)) => {
                let made = translator.message(message, &output, kind).map_err(EffectError)?;
                let mut tx = self.store.begin().await?;
                queue.send_in(&mut tx, made)?;
                tx
            }
        };
        if !self.from.settle_in(&mut tx, delivery).await? {
            // Somebody else holds it by now; dropping the transaction takes the result back.
            return Err(EffectError(Verdict::Settled));
        }
        self.store.end(tx).await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Through {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        match self.run(delivery).await {
            Ok(()) => Verdict::Settled,
            Err(EffectError(verdict)) => verdict,
        }
    }
}
