//! What can be read from a snapshot, as data.

use std::sync::Arc;

use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Record, Row, Settle, Statement, TableRow};

/// One question to what is committed.
#[derive(Clone, Debug)]
pub enum Query {
    /// Up to `limit` entries of a stream whose position is greater than `after`, in commit order.
    Read {
        /// The stream.
        stream: Arc<str>,
        /// Only what comes after this position.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// The last `limit` entries of a stream, oldest first.
    Tail {
        /// The stream.
        stream: Arc<str>,
        /// How many at most.
        limit: usize,
    },
    /// Everything known of a message, in every stream that it is in.
    Find {
        /// The message's id.
        id: String,
    },
    /// The streams whose names begin with `prefix`.
    Streams {
        /// The beginning.
        prefix: String,
    },
    /// The readers of the streams whose names begin with `prefix`, with what is before them.
    Readers {
        /// The beginning.
        prefix: String,
    },
    /// Where one reader stands: its high-water mark alone.
    Standing {
        /// The stream.
        stream: Arc<str>,
        /// The reader.
        reader: Arc<str>,
    },
    /// Up to `limit` claims of one reader in one state whose positions are greater than `after`, by position.
    Claims {
        /// The stream.
        stream: Arc<str>,
        /// The reader.
        reader: Arc<str>,
        /// Only those in this state.
        state: ClaimState,
        /// Only what comes after this position.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// One table row.
    Get {
        /// The table.
        space: Arc<str>,
        /// The row.
        key: String,
        /// The present moment, by which expiry is judged.
        now: Timestamp,
    },
    /// Up to `limit` table rows whose keys are greater than `after`, by key.
    List {
        /// The table.
        space: Arc<str>,
        /// Only what comes after this key.
        after: String,
        /// How many at most.
        limit: usize,
        /// The present moment, by which expiry is judged.
        now: Timestamp,
    },
    /// The caller's own query.
    Select(Statement),
}

/// An entry of a stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the commit order of the whole store.
    pub position: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// Not to be handed out before.
    pub due: Option<Timestamp>,
    /// The message.
    pub record: Record,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// In somebody's hands.
    Leased,
    /// To be handed out when it is due.
    Waiting,
    /// Behind another message of its key.
    Held,
    /// A dead letter.
    Parked,
    /// Handled.
    Done,
    /// Dropped.
    Dropped,
}

impl ClaimState {
    /// All of them; the first four are unfinished.
    pub const ALL: [Self; 6] =
        [Self::Leased, Self::Waiting, Self::Held, Self::Parked, Self::Done, Self::Dropped];

    /// The number under which engines store it. Unfinished ones are below 10.
    pub fn code(self) -> i64 {
        match self {
            Self::Leased => 0,
            Self::Waiting => 1,
            Self::Held => 2,
            Self::Parked => 3,
            Self::Done => 10,
            Self::Dropped => 11,
        }
    }

    /// The state of that number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether it still waits for something.
    pub fn is_open(self) -> bool {
        self.code() < 10
    }
}

/// An attempt that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it was handed out for this attempt.
    pub claimed: Option<Timestamp>,
    /// When the attempt ended.
    pub at: Timestamp,
    /// What went wrong.
    pub error: String,
}

impl Failure {
    /// Adds to a history, which stays bounded: the first failures stay, the latest replaces the one before it.
    pub fn remember(history: &mut Vec<Self>, claimed: Option<Timestamp>, at: Timestamp, error: &str) {
        history.truncate(Settle::ERRORS_MAX - 1);
        let error = error.chars().take(Settle::ERROR_LENGTH_MAX).collect();
        history.push(Self { claimed, at, error });
    }
}

/// A claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimStatus {
    /// The entry.
    pub position: u64,
    /// Where it stands.
    pub state: ClaimState,
    /// How often it was handed out.
    pub attempts: u32,
    /// When the lease ends or the retry is due.
    pub due: Option<Timestamp>,
    /// When it was handed out last.
    pub claimed: Option<Timestamp>,
    /// When it was finished or parked.
    pub ended: Option<Timestamp>,
    /// Its key.
    pub key: Option<String>,
    /// What went wrong, oldest first.
    pub errors: Vec<Failure>,
    /// Whether the reader has another content than the entry: see [`crate::Revision::Edit`].
    pub edited: bool,
}

/// A reader as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReaderStatus {
    /// The stream.
    pub stream: String,
    /// The reader.
    pub reader: String,
    /// The high-water mark: everything up to here has been looked at.
    pub position: u64,
    /// Entries that have not been looked at.
    pub fresh: u64,
    /// Claims by state; finished ones are not counted.
    pub leased: u64,
    /// Waiting for a retry or a delay.
    pub waiting: u64,
    /// Held behind their key.
    pub held: u64,
    /// Dead letters.
    pub parked: u64,
    /// Keys with a dead letter: what follows under them is held.
    pub parked_keys: u64,
    /// When the oldest entry that is not finished was appended; dead letters do not count.
    pub oldest: Option<Timestamp>,
    /// Whether it rests.
    pub paused: bool,
}

impl ReaderStatus {
    /// How many messages are before this reader: all that are neither finished nor dead letters.
    pub fn lag(&self) -> u64 {
        self.fresh + self.leased + self.waiting + self.held
    }
}

/// A stream as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub stream: String,
    /// How many entries were ever appended.
    pub appended: u64,
    /// The position of the last one.
    pub position: u64,
    /// Bytes of payload that are kept.
    pub bytes: u64,
}

/// A message in one stream, with what each reader has done with it.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The stream.
    pub stream: String,
    /// The entry.
    pub entry: Entry,
    /// Each reader of the stream: its claim, or `None` and whether it has passed the entry.
    pub readers: Vec<(String, Option<ClaimStatus>)>,
}

/// What a query gave.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Entries, in order.
    Entries(Vec<Entry>),
    /// Sightings, by position.
    Sightings(Vec<Sighting>),
    /// Streams, by name.
    Streams(Vec<StreamStatus>),
    /// Readers, by stream and name.
    Readers(Vec<ReaderStatus>),
    /// Claims with their entries, by position; where the reader has an edited content, with that. An entry that is gone is
    /// `None`.
    Claims(Vec<(ClaimStatus, Option<Entry>)>),
    /// A high-water mark; `None` when there is no such reader.
    Standing(Option<u64>),
    /// Table rows, by key.
    TableRows(Vec<TableRow>),
    /// The rows of the caller's own query.
    Rows(Vec<Row>),
}

macro_rules! unpack {
    ($(#[$doc:meta] $name:ident -> $type:ty = $variant:ident;)*) => {
        impl Answer {
            $(#[$doc]
            pub fn $name(self) -> Result<$type, Error> {
                match self {
                    Self::$variant(value) => Ok(value),
                    other => Err(Error::Invalid(format!("an engine answered {other:?} to another question"))),
                }
            })*
        }
    };
}

unpack! {
    /// The entries.
    entries -> Vec<Entry> = Entries;
    /// The sightings.
    sightings -> Vec<Sighting> = Sightings;
    /// The streams.
    streams -> Vec<StreamStatus> = Streams;
    /// The readers.
    readers -> Vec<ReaderStatus> = Readers;
    /// The claims.
    claims -> Vec<(ClaimStatus, Option<Entry>)> = Claims;
    /// The high-water mark.
    standing -> Option<u64> = Standing;
    /// The table rows.
    table_rows -> Vec<TableRow> = TableRows;
    /// The rows.
    rows -> Vec<Row> = Rows;
}
