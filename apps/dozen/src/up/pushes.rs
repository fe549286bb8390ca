//! The subscriptions of the file: each message is posted to a service, or to an address outside.
//!
//! ```text
//!  topics ─► Subscription ─► While healthy ─► While closed ─► Worker ─► Tally ─► DeadLetterTo ─► Push ─► POST
//!                            a service that   a receiver     bounds    counts   if the file
//!                            is away costs    that fails     rates              names a topic
//!                            no attempt       rests
//! ```

use std::sync::Arc;

use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Caller, Place};
use dozen_messaging::{
    Circuit, DeadLetterTo, Handler, Policy, Subscriber, SubscriptionOptions, While, Worker, WorkerOptions,
};
use dozen_pubsub::{Push, Pushing};
use dozen_store::Store;

use super::Parts;
use super::messages::Messages;
use super::metrics::{Tallies, Tally};
use super::registry::Resolve;
use crate::Error;
use crate::config::{App, Receiver, Subscription};

/// What deliveries need.
pub(super) struct Pushes<'a> {
    pub(super) store: &'a Store,
    pub(super) messages: &'a Messages,
    pub(super) resolve: &'a Resolve,
    pub(super) caller: &'a Caller,
    pub(super) ids: &'a Ids,
    pub(super) tallies: &'a Tallies,
}

impl Pushes<'_> {
    /// One worker for each subscription of the file and each topic or pattern of it. All are there, and miss nothing, from
    /// now on.
    pub(super) async fn workers(&self, app: &App) -> Result<Parts, Error> {
        let mut workers = Parts::new();
        for subscription in &app.subscriptions {
            for pattern in &subscription.topics {
                workers.extend(self.worker(subscription, pattern.text()).await?);
            }
        }
        Ok(workers)
    }

    /// `None` when the service cannot be found at all.
    async fn worker(&self, subscription: &Subscription, pattern: &str) -> Result<Option<Part>, Error> {
        let options = SubscriptionOptions {
            start: subscription.start,
            lease: Some(subscription.lease),
            // What stands in the file holds, and so does its absence.
            filter: Some(subscription.filter.clone().unwrap_or_default()),
            per_key: Some(subscription.per_key),
        };
        let subscriber = self.messages.topics.subscription(pattern, &subscription.name, options).await;
        let mut subscriber: Arc<dyn Subscriber> =
            Arc::new(subscriber.map_err(Error::pattern("open the subscriptions"))?);
        let place = match &subscription.to {
            Receiver::Service(to) => {
                let Some(endpoints) = (self.resolve)(&to.service) else { return Ok(None) };
                subscriber = Arc::new(While::new(subscriber, endpoints));
                Place::service(&to.service, to.path.as_deref().unwrap_or("/"))
            }
            Receiver::Url(url) => Place::url(&url.full).map_err(Error::pattern("open the subscriptions"))?,
        };
        let mut push = Push::new(place, self.caller.clone(), subscription.lease).in_mode(subscription.mode);
        if let Some(secrets) = &subscription.secrets {
            push = push.signed(secrets.clone(), Arc::new(SystemClock));
        }
        let circuit = subscription.circuit.map(|options| Circuit::new(options, self.ids.clone()));
        if let Some(circuit) = &circuit {
            subscriber = Arc::new(While::new(subscriber, circuit.clone()));
            push = push.with_circuit(circuit.clone());
        }
        let name = format!("subscription {} of {pattern}", subscription.name);
        let handler = self.handler(subscription, pattern, push);
        let worker =
            Worker::new(name.clone(), subscriber, handler, self.options(subscription), self.ids.clone());
        Ok(Some(match circuit {
            None => (name, Arc::new(worker)),
            Some(circuit) => {
                let pushing = Pushing::new(worker, circuit, self.store, pattern, &subscription.name);
                (name, Arc::new(pushing.map_err(Error::pattern("open the subscriptions"))?))
            }
        }))
    }

    fn handler(&self, subscription: &Subscription, pattern: &str, push: Push) -> Arc<dyn Handler> {
        let mut handler: Arc<dyn Handler> = Arc::new(push);
        if let Some(dead) = &subscription.dead_letter_topic {
            let publisher = Arc::new(self.messages.topics.clone());
            handler = Arc::new(DeadLetterTo::new(handler, publisher, dead, subscription.attempts_max));
        }
        Arc::new(Tally::new(handler, self.tallies.of(pattern, &subscription.name)))
    }

    fn options(&self, subscription: &Subscription) -> WorkerOptions {
        WorkerOptions {
            running_max: subscription.in_flight_max,
            per_second: subscription.rate,
            policy: Policy { attempts_max: subscription.attempts_max, backoff: subscription.backoff },
            ..WorkerOptions::default()
        }
    }
}

type Part = (String, Arc<dyn dozen_lifecycle::Service>);
