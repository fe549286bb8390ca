//! The feed: intents and outcomes of writes, and the stream in which the other side gets them.

use std::sync::Arc;
use std::time::Duration;

use dozen_messaging::JournalSubscriber;
use dozen_store::{Append, Expect, Op, Put, Record, Remove, Start, Store, Tx};

use super::Write;
use crate::Error;

/// The one reader of a feed.
const READER: &str = "other-side";
/// The table of intents.
const INTENTS: &str = "feature-intent";
/// How long an intent without an outcome is kept.
const INTENT_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Intents that are looked at.
const INTENTS_MAX: usize = 1_000;

/// The feed of one feature.
#[derive(Clone)]
pub struct Feed {
    store: Store,
    feature: Arc<str>,
    stream: Arc<str>,
}

impl Feed {
    /// The feed of a feature in `store`.
    pub fn new(store: &Store, feature: &str) -> Self {
        Self { store: store.clone(), feature: feature.into(), stream: Self::stream(feature) }
    }

    /// The stream that it stands in.
    pub fn stream(feature: &str) -> Arc<str> {
        format!("feature-writes/{feature}").into()
    }

    /// Appends a write in the transaction that made it: exact.
    pub fn append_in(&self, tx: &mut Tx, write: &Write) {
        let now = self.store.clock().now();
        tx.append(&self.stream, write.message(&self.feature, now), now);
    }

    /// Notes that a write is about to be sent to the authority. Durable when it returns. An id that is under way already is
    /// refused with `false`: it is the same write once more.
    pub async fn begin(&self, write: &Write) -> Result<bool, Error> {
        let now = self.store.clock().now();
        let value = serde_json::to_vec(write).unwrap_or_default();
        let (table, row, expires) = (self.store.table(INTENTS), self.row(&write.id), now.after(INTENT_KEEP));
        let version = table.put(&row, value, Expect::Absent, Some(expires)).await;
        Ok(version.map_err(self.doing("note a write"))?.is_some())
    }

    /// Notes what became of it: `took` if the authority has taken it, and then it is fed, in the same commit.
    pub async fn end(&self, write: &Write, took: bool) -> Result<(), Error> {
        let now = self.store.clock().now();
        let mut ops = Vec::new();
        if took {
            let records = vec![Record::from(write.message(&self.feature, now))];
            // Whoever ends the same write again finds its intent gone, and feeds nothing.
            let require = Put {
                space: INTENTS.into(),
                key: self.row(&write.id),
                value: Vec::new(),
                expect: self.version(&write.id).await?,
                expires: Some(now),
                now,
            };
            ops.push(Op::Require(require));
            ops.push(Op::Append(Append { stream: self.stream.clone(), records, at: now, due: None }));
        }
        ops.push(Op::Remove(Remove { space: INTENTS.into(), key: self.row(&write.id), expect: Expect::Any }));
        match self.store.commit(ops).await {
            Ok(_) | Err(dozen_store::Error::Unexpected { .. }) => Ok(()),
            Err(error) => Err(self.doing("feed a write")(error)),
        }
    }

    /// The version of an intent; one that is gone is never met again.
    async fn version(&self, id: &str) -> Result<Expect, Error> {
        let row =
            self.store.table(INTENTS).get(&self.row(id)).await.map_err(self.doing("look up a write"))?;
        Ok(Expect::Version(row.map_or(u64::MAX >> 1, |row| row.version)))
    }

    /// Writes of which nobody knows whether the authority has taken them: begun, and not ended within `patience`.
    pub async fn unsettled(&self, patience: Duration) -> Result<Vec<Write>, Error> {
        let table = self.store.table(INTENTS);
        let now = self.store.clock().now();
        let rows = table.list(&format!("{}/", self.feature), INTENTS_MAX).await;
        let rows = rows.map_err(self.doing("read the intents"))?;
        let mine = rows.into_iter().filter(|row| row.key.split('/').next() == Some(&*self.feature));
        let old =
            mine.filter(|row| row.expires.is_some_and(|at| now.after(INTENT_KEEP).since(at) >= patience));
        old.map(|row| crate::rows::read(&self.feature, &row.value)).collect()
    }

    /// How far the side that is fed is behind: the age of the oldest write that it has not taken, or that is not known to have
    /// happened. `None` when nobody feeds it.
    pub async fn lag(&self) -> Result<Option<Duration>, Error> {
        let readers =
            self.store.journal().readers(&self.stream).await.map_err(self.doing("read the feed"))?;
        let reader =
            readers.into_iter().find(|reader| *reader.stream == *self.stream && reader.reader == READER);
        // A dead letter has no age and will not go by itself: as if nobody knew.
        let Some(reader) = reader.filter(|reader| reader.parked == 0) else { return Ok(None) };
        let now = self.store.clock().now();
        Ok(Some(reader.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest))))
    }

    /// Hands out the writes; each is one side's to apply. `lease` is how long applying one may take.
    pub async fn subscriber(&self, lease: Duration) -> Result<JournalSubscriber, Error> {
        let reader: Arc<str> = READER.into();
        let opened = self.store.journal().open(&self.stream, &reader, Start::Earliest).await;
        opened.map_err(self.doing("open the feed"))?;
        Ok(JournalSubscriber::new(self.store.clone(), self.stream.clone(), reader, lease))
    }

    fn row(&self, id: &str) -> String {
        format!("{}/{id}", self.feature)
    }

    fn doing(&self, what: &str) -> impl FnOnce(dozen_store::Error) -> Error {
        Error::store(format!("{what} of feature `{}`", self.feature))
    }
}
