//! A replay under way: what is read, what of it is sent, and what is written down of it.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Message, Timestamp, chain};
use dozen_messaging::{Admission, Error, Keyring, Rate, TopicSettings};
use dozen_store::{Append, Entry, Op, Record};

use super::{Destination, Replay};
use crate::Outbox;
use crate::audit::{AUDIT, Audit, Step};

/// Entries that are read at once.
const READ_MAX: usize = 500;
/// Messages that are sent, and audited, at once.
const BATCH_MAX: usize = 100;
/// Entries are stamped by the clocks of those who append them: one may be this much older than one before it.
const SKEW: Duration = Duration::from_secs(300);

/// A replay under way.
pub(super) struct Run<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) replay: &'a Replay,
    /// Of the topic that it sends to.
    pub(super) door: Option<Arc<Admission>>,
    pub(super) audit: Audit,
}

impl Run<'_> {
    /// Gives how many matched.
    pub(super) async fn run(&mut self) -> Result<u64, Error> {
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
    pub(super) async fn note(&mut self, step: Step, messages: Vec<Message>) -> Result<(), Error> {
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
