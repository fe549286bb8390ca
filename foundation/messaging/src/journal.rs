//! Readers of the journal as a [`Subscriber`]: what queues and subscriptions both are.
//!
//! What is handed out, and what is not worth being handed out, stands in `journal/take.rs`; here is what is waited for, and how
//! it ends.

mod take;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use dozen_lifecycle::or_never;
use dozen_store::{Changes, Ended, Journal, Op, Place, Settle, Store, Tx};
use futures::future::select_all;
use tokio::sync::watch;

use crate::{Delivery, Error, Filter, Keyring, Lease, Settlement, Subscriber};

/// The longest wait between two looks for what is due at a known moment: a wall clock may be set forward.
const DUE_LOOK: Duration = Duration::from_secs(60);

/// One reader of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader, which has been opened.
    pub reader: Arc<str>,
}

/// How the parts of a subscriber share a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Among {
    /// The first part that has something goes first: priorities.
    #[default]
    First,
    /// Each has its turn: topics that one subscription hears of.
    Turns,
}

/// Hands out the messages of one stream to one reader; or of several streams, as one.
#[derive(Clone)]
pub struct JournalSubscriber {
    store: Store,
    journal: Journal,
    /// Parts are added and never change their place, which leases name.
    parts: watch::Receiver<Arc<[Part]>>,
    among: Among,
    turn: Arc<AtomicUsize>,
    lease: Duration,
    per_key: u32,
    filter: Option<Arc<dyn Filter>>,
    keys: Option<Keyring>,
}

impl JournalSubscriber {
    /// A subscriber for a reader that has been opened.
    pub fn new(store: Store, stream: Arc<str>, reader: Arc<str>, lease: Duration) -> Self {
        let parts: Arc<[Part]> = [Part { stream, reader }].into();
        Self::of(store, watch::channel(parts).1, Among::First, lease)
    }

    /// A subscriber for several readers. More may be added while it runs, at the end.
    pub fn of(store: Store, parts: watch::Receiver<Arc<[Part]>>, among: Among, lease: Duration) -> Self {
        Self {
            journal: store.journal(),
            store,
            parts,
            among,
            turn: Arc::default(),
            lease,
            per_key: 1,
            filter: None,
            keys: None,
        }
    }

    /// Lets so many messages of one key be out at a time, instead of one.
    #[must_use]
    pub fn per_key(mut self, per_key: u32) -> Self {
        self.per_key = per_key.max(1);
        self
    }

    /// Holds what it hands out for `lease`.
    #[must_use]
    pub fn holding(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Hands out only what `filter` wants. The rest is passed over, and costs this reader nothing afterwards.
    #[must_use]
    pub fn sifting(mut self, filter: Option<Arc<dyn Filter>>) -> Self {
        self.filter = filter;
        self
    }

    /// Opens sealed payloads with these keys.
    #[must_use]
    pub fn unsealing(mut self, keys: Option<Keyring>) -> Self {
        self.keys = keys;
        self
    }

    /// The store that it stands on.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The streams and readers that it hands out, in the order that [`Lease::part`] counts.
    pub fn parts(&self) -> Arc<[Part]> {
        self.parts.borrow().clone()
    }

    /// Ends a delivery inside a transaction: acknowledgement and effect are one. `false` means that the lease had
    /// passed on, and that the transaction must not be committed.
    pub async fn settle_in(
        &self,
        tx: &mut Tx,
        lease: Lease,
        settlement: Settlement,
    ) -> Result<bool, dozen_store::Error> {
        let parts = self.parts();
        let Some(part) = parts.get(lease.part as usize) else { return Ok(false) };
        let settle = Settle {
            stream: part.stream.clone(),
            reader: part.reader.clone(),
            ends: vec![(place(lease), ended(settlement))],
            now: self.store.clock().now(),
        };
        Ok(tx.apply(Op::Settle(settle)).await?.settled()? == [true])
    }

    /// What hints at something to take, each marked as seen.
    fn hints(&self, parts: &[Part]) -> Vec<Changes> {
        let both = parts.iter().flat_map(|part| {
            let (stream, reader) = (&part.stream, &part.reader);
            [self.journal.changes(stream), self.journal.changes_of(stream, reader)]
        });
        both.map(|mut hint| {
            hint.mark_unchanged();
            hint
        })
        .collect()
    }
}

/// Which of `leases` belong to which part.
fn by_part(leases: &[Lease]) -> BTreeMap<usize, Vec<usize>> {
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, lease) in leases.iter().enumerate() {
        parts.entry(lease.part as usize).or_default().push(at);
    }
    parts
}

fn failed(doing: &str, part: &Part, error: dozen_store::Error) -> Error {
    Error::engine(format!("{doing} `{}`", part.stream), error)
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
        let mut added = self.parts.clone();
        let mut hints = self.hints(&added.borrow_and_update().clone());
        loop {
            // Marked before the look: what comes after it will be noticed.
            hints.iter_mut().for_each(Changes::mark_unchanged);
            let (deliveries, next_due) = self.take(max).await?;
            let now = tokio::time::Instant::now();
            if !deliveries.is_empty() || now >= deadline {
                return Ok(deliveries);
            }
            // At least a millisecond, so that a clock that lags behind the timers cannot make this spin.
            let due = next_due.map(|due| due.since(self.store.clock().now()).min(DUE_LOOK));
            let look = due.map_or(deadline, |due| (now + due.max(Duration::from_millis(1))).min(deadline));
            let changed: Vec<_> = hints.iter_mut().map(|hint| Box::pin(hint.changed())).collect();
            let hinted = (!changed.is_empty()).then(|| select_all(changed));
            let more = tokio::select! {
                _ = or_never(hinted) => false,
                // An error means that none will ever be added, and must not be waited on again and again.
                Ok(()) = added.changed() => true,
                () = tokio::time::sleep_until(look) => false,
            };
            if more {
                hints = self.hints(&added.borrow_and_update().clone());
            }
        }
    }

    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error> {
        let (parts, leases) = (self.parts(), settlements.iter().map(|(lease, _)| *lease).collect::<Vec<_>>());
        let mut ends: Vec<Option<Settlement>> = settlements.into_iter().map(|(_, how)| Some(how)).collect();
        let mut answers = vec![false; leases.len()];
        for (at, mine) in by_part(&leases) {
            let Some(part) = parts.get(at) else { continue };
            let end = |&at: &usize| Some((place(leases[at]), ended(ends[at].take()?)));
            let ends = mine.iter().filter_map(end).collect();
            let settled = self.journal.settle(&part.stream, &part.reader, ends).await;
            let settled = settled.map_err(|error| failed("settle messages of", part, error))?;
            mine.into_iter().zip(settled).for_each(|(at, answer)| answers[at] = answer);
        }
        Ok(answers)
    }

    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error> {
        let parts = self.parts();
        let mut answers = vec![false; leases.len()];
        for (at, mine) in by_part(leases) {
            let Some(part) = parts.get(at) else { continue };
            let places = mine.iter().map(|&at| place(leases[at])).collect();
            let extended = self.journal.extend(&part.stream, &part.reader, places, self.lease).await;
            let extended = extended.map_err(|error| failed("extend leases of", part, error))?;
            mine.into_iter().zip(extended).for_each(|(at, answer)| answers[at] = answer);
        }
        Ok(answers)
    }

    fn lease(&self) -> Duration {
        self.lease
    }
}
