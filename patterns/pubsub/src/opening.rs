//! Opening a subscription: what is remembered of it, its readers, and how it works by them.

use std::sync::Arc;
use std::time::Duration;

use dozen_messaging::{Among, Error, Filter, JournalSubscriber, Part, SubscriptionOptions};
use dozen_store::{Changes, Expect, Op, OpenReader, Pause};
use tokio::sync::watch;

use crate::catalog::{HINTS, TRIES};
use crate::filter::Wanted;
use crate::remembered::{Key, Remembered, Row};
use crate::subscription::{Live, Subscription};
use crate::{Pattern, Topics};

/// How long a receiver may hold a message unless it says otherwise.
const LEASE: Duration = Duration::from_secs(30);

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
        let hints = self.hints(&key);
        let settings = self.remember(&key, options).await?;
        let parts: Arc<[Part]> = self.open_readers(&key, &[]).await?.into();
        let parts = watch::channel(parts).0;
        let live = self.live(&key, settings, &parts)?;
        Ok(Subscription::new(self.clone(), key, live, parts, hints))
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

    pub(crate) fn live(
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
    pub(crate) async fn open_readers(&self, key: &Key, known: &[Part]) -> Result<Vec<Part>, Error> {
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
