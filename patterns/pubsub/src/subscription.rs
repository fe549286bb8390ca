//! One subscription, open.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use dozen_messaging::{
    Among, Delivery, Error, Filter, JournalSubscriber, Lease, Part, Settlement, Subscriber,
    SubscriptionOptions,
};
use dozen_store::{Changes, Expect, Op, OpenReader, Pause, Tx};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::{HINTS, TRIES};
use crate::filter::Wanted;
use crate::remembered::{Key, Remembered, Row};
use crate::{Pattern, Topics};

/// How long a receiver may hold a message unless it says otherwise.
const LEASE: Duration = Duration::from_secs(30);
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
struct Live {
    settings: Remembered,
    filter: Option<Arc<Wanted>>,
    subscriber: JournalSubscriber,
}

/// What was looked at, and when.
struct Seen {
    hints: Vec<Changes>,
    at: Instant,
}

impl Topics {
    /// Opens the subscription `name` to the topic or the pattern `pattern`, and makes it where it is new: it begins as
    /// `options` say and misses nothing from then on. What they name is remembered for every process that opens it.
    ///
    /// A filter that cannot be compiled is refused. So is a name that another pattern for the same topics has: the two
    /// would take each other's messages.
    pub async fn subscription(
        &self,
        pattern: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Subscription, Error> {
        let key = Key::new(pattern, name)?;
        if !key.pattern.is_wild() {
            self.door(pattern).await?;
        }
        if let Some(text) = options.filter.as_deref().filter(|text| !text.trim().is_empty()) {
            Wanted::compile(name, text)?;
        }
        // What is declared from here on is hinted at.
        let seen = Seen { hints: self.hints(&key), at: Instant::now() };
        let settings = self.remember(&key, options).await?;
        let parts: Arc<[Part]> = self.open_readers(&key, &[]).await?.into();
        let parts = watch::channel(parts).0;
        let live = self.live(&key, settings, &parts)?;
        Ok(Subscription {
            topics: self.clone(),
            key,
            live: Arc::new(RwLock::new(live)),
            parts: Arc::new(parts),
            looking: Arc::default(),
            seen: Arc::new(Mutex::new(seen)),
        })
    }

    fn hints(&self, key: &Key) -> Vec<Changes> {
        let own = Some(self.journal.changes(&key.stream()));
        let topics = key.pattern.is_wild().then(|| self.journal.changes(HINTS));
        own.into_iter()
            .chain(topics)
            .map(|mut hint| {
                hint.mark_unchanged();
                hint
            })
            .collect()
    }

    fn live(
        &self,
        key: &Key,
        settings: Remembered,
        parts: &watch::Sender<Arc<[Part]>>,
    ) -> Result<Live, Error> {
        let filter = settings.filter.as_deref().map(|text| Wanted::compile(&key.name, text)).transpose()?;
        let filter = filter.map(Arc::new);
        let lease = settings.lease.unwrap_or(LEASE);
        let sifting = filter.clone().map(|filter| filter as Arc<dyn Filter>);
        let subscriber = JournalSubscriber::of(self.store.clone(), parts.subscribe(), Among::Turns, lease)
            .per_key(settings.per_key)
            .sifting(sifting)
            .unsealing(self.keys.clone());
        Ok(Live { settings, filter, subscriber })
    }

    /// The settings of the subscription from now on: what is remembered, with what `options` name.
    async fn remember(&self, key: &Key, options: SubscriptionOptions) -> Result<Remembered, Error> {
        for _ in 0..TRIES {
            let row = key.read(&self.store).await?;
            let now = self.store.clock().now();
            let (settings, ops) =
                match row {
                    Some(Row { settings, .. }) if settings.with(options.clone()) == settings => {
                        return Ok(settings);
                    }
                    Some(Row { version, settings }) => {
                        let settings = settings.with(options.clone());
                        let mut ops = vec![key.write(&settings, Expect::Version(version), now)?];
                        ops.extend(key.hint(now));
                        (settings, ops)
                    }
                    None => {
                        self.check_name(key).await?;
                        let settings = Remembered::new(options.clone(), now);
                        let mut ops = vec![key.write(&settings, Expect::Absent, now)?, key.name_it(now)];
                        let start = settings.start.into();
                        ops.extend(self.heard_by(key).await?.into_iter().map(|Part { stream, reader }| {
                            Op::OpenReader(OpenReader { stream, reader, start })
                        }));
                        (settings, ops)
                    }
                };
            match self.store.commit(ops).await {
                Ok(_) => return Ok(settings),
                Err(dozen_store::Error::Unexpected { .. }) => {}
                Err(error) => return Err(key.failed("open", error)),
            }
        }
        Err(Error::Invalid(format!("{} is being changed by several programs at once; try again", key.of())))
    }

    /// That no other subscription reads the same topics under this name.
    async fn check_name(&self, key: &Key) -> Result<(), Error> {
        let taken = |other: &Pattern| *other != key.pattern && other.overlaps(&key.pattern);
        match key.namesakes(&self.store).await?.into_iter().find(taken) {
            Some(other) => Err(Error::Invalid(format!(
                "{} would share the messages of `{other}`, which has that name already; give it another",
                key.of()
            ))),
            None => Ok(()),
        }
    }

    /// The topics that there are for a subscription, each with its reader.
    async fn heard_by(&self, key: &Key) -> Result<Vec<Part>, Error> {
        let part = |topic: &str| Part { stream: Self::stream(topic), reader: key.name.clone() };
        if !key.pattern.is_wild() {
            return Ok(vec![part(key.pattern.text())]);
        }
        let names = self.names().await?;
        Ok(names.iter().filter(|name| key.pattern.matches(name)).map(|name| part(name)).collect())
    }

    /// The readers of a subscription that are not among `known`, opened where they are new.
    async fn open_readers(&self, key: &Key, known: &[Part]) -> Result<Vec<Part>, Error> {
        let mut parts = self.heard_by(key).await?;
        parts.retain(|part| !known.contains(part));
        for part in &parts {
            for _ in 0..TRIES {
                let standing = self.journal.standing(&part.stream, &part.reader).await;
                if standing.map_err(|error| key.failed("open", error))?.is_some() {
                    break;
                }
                // Only while the subscription is there: nobody would close the reader of one that was ended meanwhile.
                let Some(Row { version, settings }) = key.read(&self.store).await? else {
                    return Ok(Vec::new());
                };
                let (now, Part { stream, reader }) = (self.store.clock().now(), part.clone());
                let mut ops = vec![key.write(&settings, Expect::Version(version), now)?];
                let (start, paused) = (settings.start_later(), settings.paused);
                ops.push(Op::OpenReader(OpenReader {
                    stream: stream.clone(),
                    reader: reader.clone(),
                    start,
                }));
                if paused {
                    ops.push(Op::Pause(Pause { stream, reader, paused }));
                }
                match self.store.commit(ops).await {
                    Ok(_) => break,
                    Err(dozen_store::Error::Unexpected { .. }) => {}
                    Err(error) => return Err(key.failed("open", error)),
                }
            }
        }
        Ok(parts)
    }
}

impl Subscription {
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
        work(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn seen<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
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
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
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
