//! History, sent again.
//!
//! ```text
//!  audit: started ─► read ─► those that match ─► at a rate: a batch, with what the audit says of it ─► … ─► audit: finished, or failed
//! ```
//!
//! Into a topic of the same store, a batch and its entry of the audit are one transaction. Into another store, a crash between the
//! two leaves one batch unaudited.

mod run;

use std::num::NonZeroU32;
use std::sync::Arc;

use dozen_core::{Timestamp, chain};
use dozen_messaging::{Error, Publisher};
use dozen_store::Entry;

use crate::Outbox;
use crate::audit::{Audit, Step};
use run::Run;

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
