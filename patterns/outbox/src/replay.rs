//! History, sent again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Message, Timestamp, chain};
use dozen_messaging::{Admission, Error, Keyring, Publisher, Rate, TopicSettings};
use dozen_store::{Append, Entry, Op, Record};

use crate::Outbox;
use crate::audit::{AUDIT, Audit, Step};

/// Entries that are read at once.
const READ_MAX: usize = 500;
/// Messages that are sent, and audited, at once.
const BATCH_MAX: usize = 100;
/// Entries are stamped by the clocks of those who append them: one may be this much older than one before it.
const SKEW: Duration = Duration::from_secs(300);
/// Characters of a name and of a reason that are taken.
const TEXT_MAX: usize = 1_000;

/// Where replayed messages go.
#[derive(Clone)]
pub enum Destination {
    /// A topic of the same store; also the one that they come from. Message and audit are one transaction.
    Topic(String),
    /// Another broker or store. A crash between sending and the audit of it leaves up to 100 messages unaudited.
    Publisher(Arc<dyn Publisher>, String),
}

/// What to send again, and on whose word.
///
/// Ids stay, so that an inbox which has seen a message drops it; with `fresh_ids` each works once more, and has the old id as
/// `dozenreplayof`. All have the replay's id as `dozenreplay`.
#[derive(Clone)]
pub struct Replay {
    /// From which topic.
    pub topic: String,
    /// To where.
    pub to: Destination,
    /// Only what was stored at this moment or later.
    pub since: Option<Timestamp>,
    /// Only what was stored before this moment. What is published while the replay runs is never among it.
    pub until: Option<Timestamp>,
    /// Only this key.
    pub key: Option<String>,
    /// Only this type.
    pub kind: Option<String>,
    /// At most so many, the oldest first.
    pub limit: u64,
    /// How many in a second, at most.
    pub per_second: NonZeroU32,
    /// New ids instead of the old ones.
    pub fresh_ids: bool,
    /// Count what matches, and do nothing: no message, no audit.
    pub dry_run: bool,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Replay {
    /// All of `topic`, back to itself, a thousand a second.
    pub fn new(topic: impl Into<String>, by: impl Into<String>, reason: impl Into<String>) -> Self {
        let topic = topic.into();
        Self {
            to: Destination::Topic(topic.clone()),
            topic,
            since: None,
            until: None,
            key: None,
            kind: None,
            limit: u64::MAX,
            per_second: NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN),
            fresh_ids: false,
            dry_run: false,
            by: by.into(),
            reason: reason.into(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        for (what, text) in [("who asks for it (`by`)", &self.by), ("a `reason`", &self.reason)] {
            if text.trim().is_empty() || text.chars().count() > TEXT_MAX {
                return Err(Error::Invalid(format!(
                    "a replay needs {what} of 1 to {TEXT_MAX} characters; it stands in the audit"
                )));
            }
        }
        Ok(())
    }

    fn wants(&self, entry: &Entry) -> bool {
        let record = &entry.record;
        self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.key.as_ref().is_none_or(|key| record.key.as_ref() == Some(key))
            && self.kind.as_ref().is_none_or(|kind| record.kind == *kind)
    }

    fn destination(&self) -> &str {
        match &self.to {
            Destination::Topic(name) | Destination::Publisher(_, name) => name,
        }
    }
}

/// What a replay did, or would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its id; the same as in the audit.
    pub replay: String,
    /// Messages that matched, and that were sent unless it was a dry run.
    pub matched: u64,
}

impl Outbox {
    /// Sends history again, and writes down who wanted it, why, and how much of it was sent. A replay that is dropped or
    /// fails has sent what its last audit entry says.
    pub async fn replay(&self, replay: &Replay) -> Result<Replayed, Error> {
        replay.check()?;
        self.admission(&replay.topic).await?;
        let door = match &replay.to {
            Destination::Topic(name) => Some(self.admission(name).await?),
            Destination::Publisher(..) => None,
        };
        let audit = Audit {
            replay: self.ids.next().to_string(),
            step: Step::Started,
            at: self.store.clock().now(),
            by: replay.by.clone(),
            reason: replay.reason.clone(),
            topic: replay.topic.clone(),
            to: replay.destination().to_owned(),
            since: replay.since,
            until: replay.until,
            key: replay.key.clone(),
            kind: replay.kind.clone(),
            limit: replay.limit,
            fresh_ids: replay.fresh_ids,
            sent: 0,
            position: 0,
            error: None,
        };
        let mut run = Run { outbox: self, replay, door, audit };
        if !replay.dry_run {
            run.note(Step::Started, Vec::new()).await?;
        }
        let result = run.run().await;
        if !replay.dry_run {
            run.audit.error = result.as_ref().err().map(|error| chain(error));
            run.note(if result.is_ok() { Step::Finished } else { Step::Failed }, Vec::new()).await?;
        }
        result.map(|matched| Replayed { replay: run.audit.replay, matched })
    }
}

/// A replay under way.
struct Run<'a> {
    outbox: &'a Outbox,
    replay: &'a Replay,
    /// Of the topic that it sends to.
    door: Option<Arc<Admission>>,
    audit: Audit,
}

impl Run<'_> {
    async fn run(&mut self) -> Result<u64, Error> {
        let journal = self.outbox.store.journal();
        let stream = TopicSettings::stream(&self.replay.topic);
        let failed =
            |error| Error::engine(format!("read the history of topic `{}`", self.replay.topic), error);
        // What is sent here may come back to this very topic, so the end is where it ends now.
        let last = journal.tail(&stream, 1).await.map_err(failed)?;
        let Some(last) = last.first().map(|entry| entry.position) else { return Ok(0) };
        let rate = Rate::new(f64::from(self.replay.per_second.get()));
        let mut after = match self.replay.since {
            Some(since) => self.before(&stream, since, last).await?,
            None => 0,
        };
        let mut matched = 0;
        let over = self.replay.until.map(|until| until.after(SKEW));
        while after < last && matched < self.replay.limit {
            let entries = journal.read(&stream, after, READ_MAX).await.map_err(failed)?;
            let Some(end) = entries.last().map(|entry| entry.position) else { break };
            after = end;
            let late = over.is_some_and(|over| entries.iter().all(|entry| entry.at > over));
            let room = usize::try_from(self.replay.limit - matched).unwrap_or(usize::MAX);
            let wanted =
                entries.into_iter().filter(|entry| entry.position <= last && self.replay.wants(entry));
            let wanted: Vec<Entry> = wanted.take(room).collect();
            matched += wanted.len() as u64;
            for batch in wanted.chunks(BATCH_MAX) {
                if !self.replay.dry_run {
                    for _ in batch {
                        rate.turn().await;
                    }
                    self.send(batch).await?;
                }
            }
            if late {
                break;
            }
        }
        Ok(matched)
    }

    /// A position before which everything was stored before `since`: by halving, as positions grow with time.
    async fn before(&self, stream: &Arc<str>, since: Timestamp, last: u64) -> Result<u64, Error> {
        let journal = self.outbox.store.journal();
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = journal.read(stream, middle, 1).await;
            let found =
                found.map_err(|error| Error::engine("look for the beginning of the replay", error))?;
            match found.first() {
                Some(entry) if entry.at.after(SKEW) < since => low = entry.position,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Sends a batch and writes it down.
    async fn send(&mut self, batch: &[Entry]) -> Result<(), Error> {
        let mut messages = Vec::with_capacity(batch.len());
        for entry in batch {
            messages.push(self.prepare(entry)?);
        }
        self.audit.sent += batch.len() as u64;
        self.audit.position = batch.last().map_or(0, |entry| entry.position);
        let sent = match &self.replay.to {
            Destination::Topic(_) => self.note(Step::Batch, messages).await,
            Destination::Publisher(publisher, destination) => {
                match publisher.publish(destination, messages).await {
                    Ok(_) => self.note(Step::Batch, Vec::new()).await,
                    Err(error) => Err(error),
                }
            }
        };
        if sent.is_err() {
            // The last word of the audit must not say more than what is certain.
            self.audit.sent -= batch.len() as u64;
        }
        sent
    }

    fn prepare(&self, entry: &Entry) -> Result<Message, Error> {
        let mut message = Message::try_from(entry.record.clone()).map_err(|error| {
            Error::Invalid(format!("the entry at {} is no CloudEvent: {}", entry.position, chain(&error)))
        })?;
        if self.replay.fresh_ids {
            if Keyring::is_sealed(&message) {
                self.outbox.open(&mut message)?;
            }
            let old = std::mem::replace(&mut message.id, self.outbox.ids.next().to_string());
            message.extensions.insert("dozenreplayof".into(), old.into());
        }
        message.extensions.insert("dozenreplay".into(), self.audit.replay.as_str().into());
        if let Some(door) = &self.door {
            door.admit(&mut message)?;
        }
        Ok(message)
    }

    /// Writes an entry of the audit, in one transaction with `messages` for the topic.
    async fn note(&mut self, step: Step, messages: Vec<Message>) -> Result<(), Error> {
        let now = self.outbox.store.clock().now();
        (self.audit.step, self.audit.at) = (step, now);
        let event = self.audit.event(&self.outbox.ids)?;
        let append = |stream: Arc<str>, messages: Vec<Message>| {
            let records = messages.into_iter().map(Record::from).collect();
            Op::Append(Append { stream, records, at: now, due: None })
        };
        let mut ops = vec![append(AUDIT.into(), vec![event])];
        if !messages.is_empty() {
            ops.push(append(TopicSettings::stream(self.replay.destination()), messages));
        }
        let committed = self.outbox.store.commit(ops).await;
        let failed = |error| Error::engine(format!("replay topic `{}`", self.replay.topic), error);
        committed.map(drop).map_err(failed)
    }
}
