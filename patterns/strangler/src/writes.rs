//! Writes, while two systems have the data: one of them decides, the other is fed.
//!
//! ```text
//!  client ─ write ─► begin(id) ─► authority ─► end(id, took) ─► stream feature-writes/NAME ─► Applier ─► the other side
//!                    an intent row             entry instead     in order, by key           idempotency-key: id
//!                                                                                           then read both, compare
//! ```
//!
//! Writing to two systems is two transactions, and the order in which they fail decides who is right. Here one side is the
//! *authority*; the other gets every write that the authority took, at least once and under one idempotency key, in order by
//! key. How far it is behind and whether the two end up equal goes into the gate.
//!
//! Exact is the feed where the service of the authority appends to it in its own transaction ([`Feed::append_in`]). A gateway
//! cannot do that for it. It writes its intent first ([`Feed::begin`]) and its outcome afterwards; an intent without an outcome
//! is a write of which nobody knows whether it happened, and is shown and counted as such ([`Feed::unsettled`]).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use dozen_core::{Message, Timestamp};
use dozen_messaging::{Delivery, Handler, JournalSubscriber, Verdict};
use dozen_store::{Append, Expect, Op, Put, Record, Remove, Start, Store, Tx};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::compare::Compared;
use crate::feature::Feature;
use crate::send::{Request, Sender, Unsent};
use crate::{Error, Side};

/// The one reader of a feed.
const READER: &str = "other-side";
/// The header that says that a request comes from the feed, and from nobody who could show who they are.
const FEED: &str = "dozen-feed";
/// The table of intents.
const INTENTS: &str = "feature-intent";
/// How long an intent without an outcome is kept.
const INTENT_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Intents that are looked at.
const INTENTS_MAX: usize = 1_000;

/// A write, as it goes to the side that is fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Write {
    /// The idempotency key: the client's, or one of the gateway's.
    pub id: String,
    /// What orders writes; those with different keys overtake each other.
    pub key: String,
    /// The side that is fed.
    pub to: Side,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers that matter: the content's type, whoever asks.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "body", default)]
    pub body: Bytes,
    /// The path to read on both sides once it is applied, to see whether they are equal. Without it nothing is compared.
    #[serde(default)]
    pub look: Option<String>,
}

mod body {
    use super::{BASE64, Bytes, Deserialize};
    use base64::Engine as _;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode(body))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?).map(Bytes::from).map_err(de::Error::custom)
    }
}

impl Write {
    /// The type of its message.
    pub const KIND: &str = "dozen.feature.write";

    fn message(&self, feature: &str, now: Timestamp) -> Message {
        let mut message = Message::new(&*self.id, "/dozen/features", Self::KIND);
        message.time = Some(now);
        message.subject = Some(feature.to_owned());
        // A plain struct with text keys.
        let data = serde_json::to_vec(self).unwrap_or_default();
        message.with_key(self.key.clone()).with_data(Some("application/json"), data)
    }

    fn request(&self) -> Result<Request, String> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(self.body.clone()).map_err(|error| error.to_string())?;
        let key = HeaderValue::from_str(&self.id).map_err(|error| error.to_string())?;
        request.headers_mut().insert("idempotency-key", key);
        request.headers_mut().insert(FEED, HeaderValue::from_static("true"));
        Ok(request)
    }
}

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

/// Applies the writes of a feed on the other side, and looks whether both are equal afterwards.
///
/// A [`Handler`] for a `Worker` on [`Feed::subscriber`].
pub struct Applier {
    feature: Arc<Feature>,
    sender: Arc<dyn Sender>,
    patience: Duration,
}

impl Applier {
    /// For `feature`, through `sender`; each call may take `patience`.
    pub fn new(feature: Arc<Feature>, sender: Arc<dyn Sender>, patience: Duration) -> Self {
        Self { feature, sender, patience }
    }

    async fn send(&self, side: Side, request: Request) -> Result<crate::compare::Answer, Unsent> {
        let body_max = self.feature.options().compare.body_max;
        let sending = self.sender.send(self.feature.service(side), request, body_max);
        tokio::time::timeout(self.patience, sending).await.unwrap_or(Err(Unsent::TimedOut))
    }

    async fn apply(&self, write: &Write) -> Verdict {
        let request = match write.request() {
            Ok(request) => request,
            Err(problem) => return Verdict::Poison(format!("the write is no request: {problem}")),
        };
        match self.send(write.to, request).await {
            Ok(answer) if answer.status().is_success() => Verdict::Done,
            Ok(answer)
                if answer.status().is_server_error()
                    || matches!(answer.status().as_u16(), 408 | 425 | 429) =>
            {
                Verdict::Failed(format!("the {} side answers {}", write.to, answer.status()))
            }
            Ok(answer) => {
                Verdict::Poison(format!("the {} side refuses it with {}", write.to, answer.status()))
            }
            Err(Unsent::TooLarge(_)) => Verdict::Done,
            Err(unsent) => Verdict::Failed(unsent.to_string()),
        }
    }

    /// Reads both sides, as the feed does: whoever has written is not known any more. `None` where what they say proves
    /// nothing: two that both refuse to be read are not equal because they refuse in the same words.
    async fn is_equal(&self, write: &Write, path: &str) -> Option<bool> {
        let request = || {
            let request = http::Request::builder().uri(path).header("accept-encoding", "identity");
            request.header(FEED, "true").body(Bytes::new()).ok()
        };
        let (old, new) = (request()?, request()?);
        let (old, new) = tokio::join!(self.send(Side::Old, old), self.send(Side::New, new));
        let (old, new) = (old.ok()?, new.ok()?);
        match (Shown::of(&old), Shown::of(&new)) {
            (Shown::There, Shown::There) => match self.feature.comparator().compare(&old, &new) {
                Compared::Same => Some(true),
                Compared::Different(_) => Some(false),
                Compared::Incomparable(_) => None,
            },
            (Shown::Gone, Shown::Gone) => (write.method == "DELETE").then_some(true),
            (Shown::There, Shown::Gone) | (Shown::Gone, Shown::There) => Some(false),
            (Shown::Nothing, _) | (_, Shown::Nothing) => None,
        }
    }

    async fn reconcile(&self, write: &Write, path: &str) {
        let wait = self.feature.options().writes.reconcile_after;
        tokio::time::sleep(wait).await;
        let mut equal = self.is_equal(write, path).await;
        if equal == Some(false) {
            // A write that came meanwhile makes them differ for a moment.
            tokio::time::sleep(self.feature.options().compare.confirm_after).await;
            equal = self.is_equal(write, path).await;
        }
        self.feature.reconciled(equal);
    }
}

/// What one side shows of something that was written.
enum Shown {
    There,
    Gone,
    /// Neither: it may not be seen, or the side fails.
    Nothing,
}

impl Shown {
    fn of(answer: &crate::compare::Answer) -> Self {
        match answer.status().as_u16() {
            200..300 => Self::There,
            404 | 410 => Self::Gone,
            _ => Self::Nothing,
        }
    }
}

#[async_trait]
impl Handler for Applier {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let write: Write = match serde_json::from_slice(&delivery.message.data) {
            Ok(write) => write,
            Err(error) => return Verdict::Poison(format!("it is no write: {error}")),
        };
        let verdict = self.apply(&write).await;
        match (&verdict, &write.look) {
            (Verdict::Done, Some(path)) => self.reconcile(&write, path).await,
            // What one side takes and the other refuses is a difference, even if nobody reads it.
            (Verdict::Poison(_), _) => self.feature.reconciled(Some(false)),
            _ => {}
        }
        verdict
    }
}

#[cfg(test)]
mod tests;
