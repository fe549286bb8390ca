//! Effects: what is done about a message, in the transaction that acknowledges it.

use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Diagnose, Retry, chain};
use dozen_store::{Store, Tx};

use crate::{DecodeError, Delivery, Handler, JournalSubscriber, Settlement, Typed, Verdict, decode};

/// Does something with a message inside a transaction.
#[async_trait]
pub trait Effect: Send + Sync + 'static {
    /// Changes rows and sends messages through `tx`. They commit together with the acknowledgement: the effect happens
    /// exactly once, however often the message is delivered. Should not wait for anything but the store.
    async fn apply(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), EffectError>;
}

/// Why an effect did not happen, and what is to become of its message.
#[derive(Debug)]
pub struct EffectError(pub Verdict);

/// What kind of failure an error is, for whoever decides what becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Trying again may help: the queue's back-off decides when.
    Transient,
    /// Trying again will help, and after so long.
    Later(Duration),
    /// Trying again will not help: a dead letter at once.
    Permanent,
    /// The message itself cannot be handled, by anybody: a dead letter at once.
    Poison,
}

/// An error that knows what kind of failure it is.
pub trait Classify: std::error::Error {
    /// Its kind.
    fn class(&self) -> Class;
}

impl<E: Classify> From<E> for EffectError {
    fn from(error: E) -> Self {
        let text = chain(&error);
        Self(match error.class() {
            Class::Transient => Verdict::Failed(text),
            Class::Later(wait) => Verdict::Later(wait),
            Class::Permanent => Verdict::Poison(format!("permanent: {text}")),
            Class::Poison => Verdict::Poison(format!("poison: {text}")),
        })
    }
}

fn by_retry(retry: Retry) -> Class {
    match retry {
        Retry::Never => Class::Permanent,
        _ => Class::Transient,
    }
}

impl Classify for dozen_store::Error {
    fn class(&self) -> Class {
        by_retry(self.retry())
    }
}

impl Classify for crate::Error {
    fn class(&self) -> Class {
        by_retry(self.retry())
    }
}

impl Classify for DecodeError {
    fn class(&self) -> Class {
        match self {
            // The newer program that is about to be deployed reads it.
            Self::Version { .. } => Class::Transient,
            Self::Name { .. } | Self::Payload { .. } => Class::Poison,
        }
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
    pub fn new(subscriber: impl Into<JournalSubscriber>, effect: E) -> Self {
        let subscriber = subscriber.into();
        Self { store: subscriber.store().clone(), subscriber, effect }
    }

    async fn run(&self, delivery: &Delivery) -> Result<(), EffectError> {
        let mut tx = self.store.begin().await?;
        self.effect.apply(&mut tx, delivery).await?;
        if !self.subscriber.settle_in(&mut tx, delivery.lease, Settlement::Done).await? {
            // Somebody else holds it by now; dropping the transaction undoes the effect.
            return Err(EffectError(Verdict::Settled));
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
            Err(EffectError(verdict)) => verdict,
        }
    }
}

/// What a handler function is given beside its message.
pub struct Context<'a, S> {
    /// The transaction that acknowledges the message. What is done through it happens once.
    pub tx: &'a mut Tx,
    /// What the program handed in: pools, clients, settings.
    pub state: &'a S,
    /// The message as it was delivered: attempts, attributes, lease.
    pub delivery: &'a Delivery,
}

/// A plain async function of a context and a message: `async fn reserve(c: Context<'_, App>, m: Reserve) -> Result<…>`.
pub trait HandlerFn<C, M>: Send + Sync {
    /// Why it did not succeed.
    type Error: Into<EffectError>;
    /// What it returns.
    type Future: Future<Output = Result<(), Self::Error>> + Send;

    /// Calls it.
    fn call(&self, context: C, message: M) -> Self::Future;
}

impl<C, M, E, F, Fut> HandlerFn<C, M> for F
where
    F: Fn(C, M) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<EffectError>,
{
    type Error = E;
    type Future = Fut;

    fn call(&self, context: C, message: M) -> Fut {
        self(context, message)
    }
}

/// A handler function as an [`Effect`]: reads the message as `M` and calls the function.
pub struct Each<M, S, F> {
    state: S,
    function: F,
    message: PhantomData<fn() -> M>,
}

impl<M, S, F> Each<M, S, F>
where
    M: Typed,
    S: Send + Sync + 'static,
    F: for<'a> HandlerFn<Context<'a, S>, M> + 'static,
{
    /// `function`, with `state` at hand.
    pub fn new(state: S, function: F) -> Self {
        Self { state, function, message: PhantomData }
    }
}

#[async_trait]
impl<M, S, F> Effect for Each<M, S, F>
where
    M: Typed,
    S: Send + Sync + 'static,
    F: for<'a> HandlerFn<Context<'a, S>, M> + 'static,
{
    async fn apply(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), EffectError> {
        let message = decode::<M>(&delivery.message)?;
        let context = Context { tx, state: &self.state, delivery };
        self.function.call(context, message).await.map_err(Into::into)
    }
}
