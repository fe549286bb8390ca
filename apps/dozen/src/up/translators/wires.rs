//! From topic to topic through a translator: messages of others in, ours out.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_anticorruption::{Destination, Handled};
use dozen_core::Ids;
use dozen_messaging::{Delivery, Handler, SubscriptionOptions, Verdict, Worker, WorkerOptions};
use dozen_pubsub::Topics;

use super::super::Parts;
use super::super::metrics::{Tallies, Tally};
use super::Current;
use crate::Error;
use crate::config::{App, Wire};

/// What the wires of a file need.
pub(crate) struct Wires<'a> {
    pub(crate) topics: &'a Topics,
    pub(crate) ids: &'a Ids,
    pub(crate) tallies: &'a Tallies,
}

impl Wires<'_> {
    /// One worker for each translator that reads a topic. All miss nothing from now on.
    pub(crate) async fn workers(&self, app: &App, current: &Arc<Current>) -> Result<Parts, Error> {
        let mut workers = Parts::new();
        for wire in &app.translators.wires {
            let options = SubscriptionOptions { start: wire.start, ..SubscriptionOptions::default() };
            let subscriber = self.topics.subscription(&wire.from, &wire.translator, options).await;
            let subscriber = subscriber.map_err(Error::pattern("open the subscriptions of translators"))?;
            let through = Through {
                current: current.clone(),
                translator: wire.translator.clone(),
                to: self.destination(wire),
            };
            let counts = self.tallies.of(&wire.from, &wire.translator);
            let name = format!("translator {} of {}", wire.translator, wire.from);
            let options = WorkerOptions {
                running_max: wire.in_flight_max,
                policy: wire.policy,
                ..WorkerOptions::default()
            };
            let handler = Arc::new(Tally::new(Arc::new(through), counts));
            let worker = Worker::new(name.clone(), Arc::new(subscriber), handler, options, self.ids.clone());
            workers.push((name, Arc::new(worker)));
        }
        Ok(workers)
    }

    fn destination(&self, wire: &Wire) -> Option<Destination> {
        let (name, kind) = wire.to.clone()?;
        Some(Destination { publisher: Arc::new(self.topics.clone()), name, kind })
    }
}

/// Handles with the translator as it is now.
struct Through {
    current: Arc<Current>,
    translator: String,
    to: Option<Destination>,
}

#[async_trait]
impl Handler for Through {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        match self.current.get(&self.translator) {
            Some(translator) => Handled::new(translator, self.to.clone()).handle(delivery).await,
            // A reload keeps the names as they are.
            None => Verdict::Failed("there is no such translator now".into()),
        }
    }
}
