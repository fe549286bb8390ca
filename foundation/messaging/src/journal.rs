//! A reader of the journal as a [`Subscriber`]: what queues and subscriptions both are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Message, chain};
use dozen_store::{Ended, Journal, Op, Place, Settle, Store, Tx};

use crate::{Delivery, Error, Handler, Lease, Settlement, Subscriber, Verdict};

/// The longest wait between two looks while nothing hints at a change: the net under lost hints.
const LOOK: Duration = Duration::from_secs(5);

/// Hands out the messages of one stream to one reader.
#[derive(Clone)]
pub struct JournalSubscriber {
    store: Store,
    journal: Journal,
    stream: Arc<str>,
    reader: Arc<str>,
    lease: Duration,
}

impl JournalSubscriber {
    /// A subscriber for a reader that has been opened.
    pub fn new(store: Store, stream: Arc<str>, reader: Arc<str>, lease: Duration) -> Self {
        Self { journal: store.journal(), store, stream, reader, lease }
    }

    /// Takes what can be had at once, and says how long nothing can be expected otherwise.
    async fn take(&self, max: usize) -> Result<(Vec<Delivery>, Duration), Error> {
        let claimed = self.journal.claim(&self.stream, &self.reader, max, self.lease).await;
        let (claims, next_due) = claimed.map_err(|error| self.failed("take messages of", error))?;
        let mut deliveries = Vec::with_capacity(claims.len());
        for claim in claims {
            let lease = Lease { position: claim.place.position, fence: claim.place.fence };
            match Message::try_from(claim.record) {
                Ok(message) => deliveries.push(Delivery {
                    message,
                    lease,
                    attempts: claim.attempts,
                    until: claim.until,
                    stored: claim.at,
                }),
                // It was written by something else than dozen. Nobody can handle it; a person must look.
                Err(error) => {
                    let error = format!("it is no CloudEvent: {}", chain(&error));
                    self.settle(vec![(lease, Settlement::Park { error })]).await?;
                }
            }
        }
        let wait = next_due.map_or(LOOK, |due| due.since(self.store.clock().now()).min(LOOK));
        Ok((deliveries, wait))
    }

    /// Ends a delivery inside a transaction: acknowledgement and effect are one. `false` means that the lease had
    /// passed on, and that the transaction must not be committed.
    pub async fn settle_in(
        &self,
        tx: &mut Tx,
        lease: Lease,
        settlement: Settlement,
    ) -> Result<bool, dozen_store::Error> {
        let settle = Settle {
            stream: self.stream.clone(),
            reader: self.reader.clone(),
            ends: vec![(place(lease), ended(settlement))],
            now: self.store.clock().now(),
        };
        Ok(tx.apply(Op::Settle(settle)).await?.settled()? == [true])
    }

    fn failed(&self, doing: &str, error: dozen_store::Error) -> Error {
        Error::engine(format!("{doing} `{}`", self.stream), error)
    }
}

fn place(lease: Lease) -> Place {
    Place { position: lease.position, fence: lease.fence }
}

fn ended(settlement: Settlement) -> Ended {
    match settlement {
        Settlement::Done => Ended::Done,
        Settlement::Retry { at, error } => Ended::Retry { at, error },
        Settlement::Park { error } => Ended::Parked(error),
        Settlement::Drop { reason } => Ended::Dropped(reason),
    }
}

#[async_trait]
impl Subscriber for JournalSubscriber {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let deadline = tokio::time::Instant::now() + wait;
        let mut appended = self.journal.changes(&self.stream);
        let mut again = self.journal.changes_of(&self.stream, &self.reader);
        loop {
            // Marked before the look: what comes after it will be noticed.
            appended.mark_unchanged();
            again.mark_unchanged();
            let (deliveries, look) = self.take(max).await?;
            let now = tokio::time::Instant::now();
            if !deliveries.is_empty() || now >= deadline {
                return Ok(deliveries);
            }
            // At least a millisecond, so that a clock that lags behind the timers cannot make this spin.
            let look = (now + look.max(Duration::from_millis(1))).min(deadline);
            tokio::select! {
                _ = appended.changed() => {}
                _ = again.changed() => {}
                () = tokio::time::sleep_until(look) => {}
            }
        }
    }

    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error> {
        let ends = settlements.into_iter().map(|(lease, how)| (place(lease), ended(how))).collect();
        let settled = self.journal.settle(&self.stream, &self.reader, ends).await;
        settled.map_err(|error| self.failed("settle messages of", error))
    }

    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error> {
        let places = leases.iter().map(|lease| place(*lease)).collect();
        let extended = self.journal.extend(&self.stream, &self.reader, places, self.lease).await;
        extended.map_err(|error| self.failed("extend leases of", error))
    }

    fn lease(&self) -> Duration {
        self.lease
    }
}

/// Does something with a message inside a transaction.
#[async_trait]
pub trait Effect: Send + Sync + 'static {
    /// Changes rows and sends messages through `tx`. They commit together with the acknowledgement: the effect happens
    /// exactly once, however often the message is delivered. Should not wait for anything but the store.
    async fn apply(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), EffectError>;
}

/// Why an effect did not happen.
#[derive(Debug)]
pub enum EffectError {
    /// The store said no; whether it is tried again is by its own word.
    Store(dozen_store::Error),
    /// The effect itself decided.
    Verdict(Verdict),
}

impl From<dozen_store::Error> for EffectError {
    fn from(error: dozen_store::Error) -> Self {
        Self::Store(error)
    }
}

/// Runs an [`Effect`] as a [`Handler`]: effect and acknowledgement in one transaction.
pub struct Once<E> {
    store: Store,
    subscriber: JournalSubscriber,
    effect: E,
}

impl<E: Effect> Once<E> {
    /// `effect` for what `subscriber` hands out. Both must stand on the same store.
    pub fn new(subscriber: JournalSubscriber, effect: E) -> Self {
        Self { store: subscriber.store.clone(), subscriber, effect }
    }

    async fn run(&self, delivery: &Delivery) -> Result<(), EffectError> {
        let mut tx = self.store.begin().await?;
        self.effect.apply(&mut tx, delivery).await?;
        if !self.subscriber.settle_in(&mut tx, delivery.lease, Settlement::Done).await? {
            // Somebody else holds it by now; dropping the transaction undoes the effect.
            return Err(EffectError::Verdict(Verdict::Settled));
        }
        self.store.end(tx).await?;
        Ok(())
    }
}

#[async_trait]
impl<E: Effect> Handler for Once<E> {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        match self.run(delivery).await {
            Ok(()) => Verdict::Settled,
            Err(EffectError::Verdict(verdict)) => verdict,
            Err(EffectError::Store(error)) => Verdict::Failed(chain(&error)),
        }
    }
}
