//! One subscription, open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Mutex, RwLock};
use dozen_messaging::{Delivery, Error, JournalSubscriber, Lease, Part, Settlement, Subscriber};
use dozen_store::{Changes, Tx};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Topics;
use crate::filter::Wanted;
use crate::remembered::{Key, Remembered, Row};

/// Between two looks at settings and topics: another process that is busy hints at everything, all the time.
const LOOK: Duration = Duration::from_millis(500);

/// A durable subscription to one topic, or to all that a pattern stands for. Cheap to clone; several receivers of one
/// subscription, here or elsewhere, share its messages.
///
/// It takes note of changed settings, and of topics that are declared later, while it receives.
#[derive(Clone)]
pub struct Subscription {
    topics: Topics,
    key: Key,
    live: Arc<RwLock<Live>>,
    parts: Arc<watch::Sender<Arc<[Part]>>>,
    looking: Arc<tokio::sync::Mutex<()>>,
    seen: Arc<Mutex<Seen>>,
}

/// What it works by at the moment.
pub(crate) struct Live {
    pub(crate) settings: Remembered,
    pub(crate) filter: Option<Arc<Wanted>>,
    pub(crate) subscriber: JournalSubscriber,
}

/// What was looked at, and when.
struct Seen {
    hints: Vec<Changes>,
    at: Instant,
}

impl Subscription {
    pub(crate) fn new(
        topics: Topics,
        key: Key,
        live: Live,
        parts: watch::Sender<Arc<[Part]>>,
        hints: Vec<Changes>,
    ) -> Self {
        let seen = Seen { hints, at: Instant::now() };
        let (live, parts, seen) = (Arc::new(RwLock::new(live)), Arc::new(parts), Arc::new(Mutex::new(seen)));
        Self { topics, key, live, parts, looking: Arc::default(), seen }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// The topic, or the pattern that stands for its topics.
    pub fn pattern(&self) -> &str {
        self.key.pattern.text()
    }

    /// The readers that it hands out messages of, in the order that [`Lease::part`] counts.
    pub fn parts(&self) -> Arc<[Part]> {
        self.parts.borrow().clone()
    }

    /// How often its filter could not decide, in this process and since its last change. Such messages are not wanted.
    pub fn undecided(&self) -> u64 {
        self.with(|live| live.filter.as_ref().map_or(0, |filter| filter.undecided()))
    }

    /// Ends a delivery inside a transaction, as [`JournalSubscriber::settle_in`] does.
    pub async fn settle_in(
        &self,
        tx: &mut Tx,
        lease: Lease,
        settlement: Settlement,
    ) -> Result<bool, dozen_store::Error> {
        self.subscriber().settle_in(tx, lease, settlement).await
    }

    fn subscriber(&self) -> JournalSubscriber {
        self.with(|live| live.subscriber.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&Live) -> T) -> T {
        work(&self.live.read())
    }

    fn seen<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock())
    }

    /// Whether it is worth a look.
    fn is_hinted(&self) -> bool {
        self.seen(|seen| seen.hints.iter().any(|hint| hint.has_changed().unwrap_or(false)))
    }

    /// Whether it is worth a look, and time for it.
    fn is_due(&self) -> bool {
        self.seen(|seen| seen.at.elapsed()) >= LOOK && self.is_hinted()
    }

    /// Waits until it is worth a look.
    async fn hinted(&self) {
        let (mut hints, at) = self.seen(|seen| (seen.hints.clone(), seen.at));
        let moved = hints.iter_mut().map(|hint| Box::pin(hint.changed())).collect::<Vec<_>>();
        drop(futures::future::select_all(moved).await);
        tokio::time::sleep_until(at + LOOK).await;
    }

    /// Looks at the settings and the topics. Says whether it works by other settings now.
    async fn look(&self) -> Result<bool, Error> {
        let _one = self.looking.lock().await;
        // Marked before the look: what comes after it will be noticed.
        self.seen(|seen| {
            seen.hints.iter_mut().for_each(Changes::mark_unchanged);
            seen.at = Instant::now();
        });
        let Some(Row { settings, .. }) = self.key.read(&self.topics.store).await? else {
            return Err(Error::Unknown {
                kind: "subscription",
                name: self.key.name.to_string(),
                known: vec![],
            });
        };
        if self.key.pattern.is_wild() {
            let more = self.topics.open_readers(&self.key, &self.parts()).await?;
            if !more.is_empty() {
                self.parts.send_modify(|parts| *parts = parts.iter().cloned().chain(more).collect());
            }
        }
        if self.with(|live| live.settings == settings) {
            return Ok(false);
        }
        let live = self.topics.live(&self.key, settings, &self.parts)?;
        *self.live.write() = live;
        Ok(true)
    }
}

impl From<Subscription> for JournalSubscriber {
    /// Its readers as they are now and will be; its settings as they are now.
    fn from(subscription: Subscription) -> Self {
        subscription.subscriber()
    }
}

#[async_trait]
impl Subscriber for Subscription {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let deadline = Instant::now() + wait;
        loop {
            if self.is_due() {
                self.look().await?;
            }
            let subscriber = self.subscriber();
            let receiving = subscriber.receive(max, deadline.saturating_duration_since(Instant::now()));
            tokio::pin!(receiving);
            loop {
                tokio::select! { biased;
                    received = &mut receiving => {
                        // One that was ended elsewhere has no readers any more, and is told so in these words.
                        if received.is_err() && self.is_hinted() {
                            self.look().await?;
                        }
                        return received;
                    }
                    () = self.hinted() => {
                        // Other settings: what the call has leased meanwhile, if anything, comes back with its lease.
                        if self.look().await? {
                            break;
                        }
                    }
                }
            }
        }
    }

    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error> {
        self.subscriber().settle(settlements).await
    }

    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error> {
        self.subscriber().extend(leases).await
    }

    fn lease(&self) -> Duration {
        self.with(|live| live.subscriber.lease())
    }
}
