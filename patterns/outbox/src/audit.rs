//! Who sent what again, and why.

use dozen_core::{Ids, Message, Timestamp};
use dozen_messaging::Error;
use dozen_store::Entry;
use serde::{Deserialize, Serialize};

use crate::Outbox;

/// The stream that keeps the audit. Nothing trims it but a person.
pub const AUDIT: &str = "audit/outbox";

/// The beginning of the events' types.
const KIND: &str = "dozen.replay.";

/// How far a replay was when an entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It was asked for; nothing has been sent.
    Started,
    /// It is going on.
    Batch,
    /// Everything that was asked for has been sent.
    Finished,
    /// It was given up after an error.
    Failed,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Batch => "batch",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// One entry of the audit. Each has all of it, so that none has to be put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Which replay. Messages that it sent have it as `dozenreplay`.
    pub replay: String,
    /// How far it was.
    pub step: Step,
    /// When this was written.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// From which topic.
    pub topic: String,
    /// To where.
    pub to: String,
    /// Only what was stored at this moment or later.
    pub since: Option<Timestamp>,
    /// Only what was stored before this moment.
    pub until: Option<Timestamp>,
    /// Only this key.
    pub key: Option<String>,
    /// Only this type.
    pub kind: Option<String>,
    /// At most so many.
    pub limit: u64,
    /// Whether the messages got new ids.
    pub fresh_ids: bool,
    /// How many had been sent by then.
    pub sent: u64,
    /// The position of the last message that was sent by then; 0 for none.
    pub position: u64,
    /// Why it was given up.
    pub error: Option<String>,
}

impl Audit {
    /// The entry as an event.
    pub(crate) fn event(&self, ids: &Ids) -> Result<Message, Error> {
        let data = serde_json::to_vec(self)
            .map_err(|error| Error::Invalid(format!("the audit of a replay cannot be written: {error}")))?;
        let kind = format!("{KIND}{}", self.step.name());
        let mut event = Message::new(ids.next().to_string(), "/outbox/replay", kind).with_key(&self.replay);
        event.time = Some(self.at);
        event.subject = Some(self.topic.clone());
        Ok(event.with_data(Some("application/json"), data))
    }

    fn of(entry: Entry) -> Option<Self> {
        entry.record.kind.starts_with(KIND).then(|| serde_json::from_slice(&entry.record.data).ok())?
    }
}

impl Outbox {
    /// The last `limit` entries of the audit, oldest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<Audit>, Error> {
        let entries = self.store.journal().tail(&AUDIT.into(), limit).await;
        let entries = entries.map_err(|error| Error::engine("read the audit of the outbox", error))?;
        Ok(entries.into_iter().filter_map(Audit::of).collect())
    }
}
