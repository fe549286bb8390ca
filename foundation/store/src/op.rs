//! What can be done inside a transaction, as data.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::Timestamp;

use crate::{Error, Record, Row, Statement};

/// One change, or one read that must see the transaction's own changes.
#[derive(Clone, Debug)]
pub enum Op {
    /// Append messages to a stream.
    Append(Append),
    /// Make a reader where there is none.
    OpenReader(OpenReader),
    /// Forget a reader.
    CloseReader(CloseReader),
    /// Move a reader to another place.
    Seek(Seek),
    /// Take messages under a lease.
    Claim(Claim),
    /// End claims.
    Settle(Settle),
    /// Hold claims for longer.
    Extend(Extend),
    /// Act on dead letters.
    Revise(Revise),
    /// Forget what is old and finished.
    Trim(Trim),
    /// Forget what a later entry of the same key has replaced.
    Compact(Compact),
    /// Let a reader rest, or go on.
    Pause(Pause),
    /// Write a table row.
    Put(Put),
    /// Write a table row, or fail the whole transaction with [`Error::Unexpected`] when what is expected is not there.
    /// It lets a transaction that is known in full depend on a row.
    Require(Put),
    /// Remove a table row.
    Remove(Remove),
    /// Note that something has been seen.
    Mark(Mark),
    /// The caller's own statement.
    Execute(Statement),
    /// The caller's own query.
    Select(Statement),
}

impl Op {
    /// Whether it may be lost with the machine's power without breaking a promise.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Claim(_) | Self::Extend(_))
    }

    /// A short name for logs, metrics and faults.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::OpenReader(_) => "open-reader",
            Self::CloseReader(_) => "close-reader",
            Self::Seek(_) => "seek",
            Self::Claim(_) => "claim",
            Self::Settle(_) => "settle",
            Self::Extend(_) => "extend",
            Self::Revise(_) => "revise",
            Self::Trim(_) => "trim",
            Self::Compact(_) => "compact",
            Self::Pause(_) => "pause",
            Self::Put(_) => "put",
            Self::Require(_) => "require",
            Self::Remove(_) => "remove",
            Self::Mark(_) => "mark",
            Self::Execute(_) => "execute",
            Self::Select(_) => "select",
        }
    }
}

/// Append messages to the end of a stream, which exists from its first append on.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream.
    pub stream: Arc<str>,
    /// The messages, in order.
    pub records: Vec<Record>,
    /// The moment of it, by the caller's clock.
    pub at: Timestamp,
    /// Not to be handed out before this moment.
    pub due: Option<Timestamp>,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest entry that is kept.
    Earliest,
    /// With what is appended from now on.
    Latest,
    /// With the first entry whose position is greater.
    After(u64),
    /// With the first entry that was appended at this moment or later.
    At(Timestamp),
}

/// Make a reader; one that exists stays as it is.
#[derive(Clone, Debug)]
pub struct OpenReader {
    /// The stream, made if it does not exist.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Where it begins.
    pub start: Start,
}

/// Forget a reader, its position and its claims, dead letters among them. Nothing keeps entries for it any more.
#[derive(Clone, Debug)]
pub struct CloseReader {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
}

/// Move a reader. Its unfinished claims are forgotten; what lies after the new place is handed out (again).
#[derive(Clone, Debug)]
pub struct Seek {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Where it goes on.
    pub start: Start,
}

/// Take up to `limit` messages: first those whose retry is due or whose lease has ended, then new ones.
///
/// Of one key, `per_key` messages are out at a time. A message beyond that, or behind one that is held or a dead letter
/// under its key, is held, and becomes available when one of them is done. With `per_key` 1 the order of a key is strict.
/// One call looks at no more than [`Claim::SCAN_MAX`] new entries. A reader that is paused gets nothing.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// How many at most.
    pub limit: usize,
    /// The present moment, by the caller's clock.
    pub now: Timestamp,
    /// How long they may be held.
    pub lease: Duration,
    /// How many of one key may be out at a time; at least 1.
    pub per_key: u32,
    /// For a reader that wants only some: what the caller has looked at. Given this, only these entries are new.
    pub sifted: Option<Sifted>,
}

/// What a caller has looked at before it claims. An entry that is not wanted is passed over and leaves no trace.
#[derive(Clone, Debug, Default)]
pub struct Sifted {
    /// It has looked at everything that follows this position. A reader that stands before it, because it was moved back
    /// meanwhile, takes nothing new; entries that the reader has passed meanwhile are ignored.
    pub after: u64,
    /// The stream's entries from there on without a gap, each with whether it is wanted.
    pub entries: Vec<(u64, bool)>,
}

impl Claim {
    /// New entries that one claim looks at, at most. Bounds the time that it keeps others waiting.
    pub const SCAN_MAX: usize = 1_000;
}

/// A message in a reader's hands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which one, under which lease.
    pub place: Place,
    /// How often it has been handed out, this time included.
    pub attempts: u32,
    /// When the lease ends.
    pub until: Timestamp,
    /// When it was appended.
    pub at: Timestamp,
    /// The message.
    pub record: Record,
}

/// One message under one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The entry.
    pub position: u64,
    /// The lease of it: another one for each time that it is handed out.
    pub fence: u64,
}

/// How a claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Handled.
    Done,
    /// Not wanted.
    Dropped(String),
    /// Again, not before `at`.
    Retry {
        /// Not before this moment.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// Given up: a dead letter. What follows it under its key is held.
    Parked(String),
}

/// End claims. Those whose lease has passed on are left alone.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Which, and how.
    pub ends: Vec<(Place, Ended)>,
    /// The present moment.
    pub now: Timestamp,
}

impl Settle {
    /// Errors that a message's history keeps: the first and the latest.
    pub const ERRORS_MAX: usize = 16;
    /// Characters of one error that are kept.
    pub const ERROR_LENGTH_MAX: usize = 1_000;
}

/// Hold claims until `until`.
#[derive(Clone, Debug)]
pub struct Extend {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Which.
    pub places: Vec<Place>,
    /// For how long.
    pub until: Timestamp,
}

/// What to do with dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Hand them out again, with their attempts counted anew.
    Redrive,
    /// Forget them; what they held back goes on.
    Discard,
    /// Give this reader another type, other attributes and another payload in the place of the entry's. The entry itself
    /// and other readers' view of it stay; so do id and key. It is a dead letter until it is redriven.
    Edit(Record),
}

/// Act on dead letters of one reader.
#[derive(Clone, Debug)]
pub struct Revise {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Which positions; empty means the oldest `limit`.
    pub positions: Vec<u64>,
    /// How many at most.
    pub limit: usize,
    /// What to do.
    pub revision: Revision,
    /// The present moment.
    pub now: Timestamp,
}

/// Forget the oldest entries of a stream, together with what is known of their handling: those that were appended before
/// `before`, and those beyond the newest `bytes_max` bytes. None that a reader of the stream still needs, and at most
/// `limit` in one call.
#[derive(Clone, Debug)]
pub struct Trim {
    /// The stream.
    pub stream: Arc<str>,
    /// The age from which they may go.
    pub before: Timestamp,
    /// How many bytes of payload may stay, whatever their age.
    pub bytes_max: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

/// Forget entries of a stream that have a key, that were appended before `before`, and that a later entry of the same key
/// follows: the last value of each key stays. None that a reader still needs. Looks at `limit` entries at most.
#[derive(Clone, Debug)]
pub struct Compact {
    /// The stream.
    pub stream: Arc<str>,
    /// The age from which they may go.
    pub before: Timestamp,
    /// How many are looked at, at most.
    pub limit: usize,
}

/// Let a reader rest: claims give it nothing. What it holds it may settle and extend.
#[derive(Clone, Debug)]
pub struct Pause {
    /// The stream.
    pub stream: Arc<str>,
    /// The reader.
    pub reader: Arc<str>,
    /// Whether it rests from now on.
    pub paused: bool,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// Nothing, or an expired row.
    Absent,
    /// This version.
    Version(u64),
}

/// Write a table row.
#[derive(Clone, Debug)]
pub struct Put {
    /// The table.
    pub space: Arc<str>,
    /// The row.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// What must be there for it to happen.
    pub expect: Expect,
    /// When it goes by itself.
    pub expires: Option<Timestamp>,
    /// The present moment, by which expiry is judged.
    pub now: Timestamp,
}

/// Remove a table row.
#[derive(Clone, Debug)]
pub struct Remove {
    /// The table.
    pub space: Arc<str>,
    /// The row.
    pub key: String,
    /// What must be there for it to happen.
    pub expect: Expect,
}

/// Note that something has been seen, in the transaction of its effect.
///
/// A mark is kept for `keep` and then forgotten, together with all others of its day: whatever the engine keeps of them, it
/// never searches for single ones that are old.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Who has seen it.
    pub space: Arc<str>,
    /// What.
    pub key: String,
    /// The present moment, by the caller's clock.
    pub now: Timestamp,
    /// For how long it must not be forgotten.
    pub keep: Duration,
}

impl Mark {
    /// A day in microseconds.
    const DAY: i64 = 24 * 3600 * 1_000_000;

    /// The present day, counted since 1970.
    pub fn today(&self) -> i64 {
        self.now.0.div_euclid(Self::DAY)
    }

    /// The first day on which it may be forgotten: the first that begins after it was kept for long enough.
    pub fn gone_by(&self) -> i64 {
        let kept = self.now.after(self.keep).0;
        kept.div_euclid(Self::DAY) + i64::from(kept.rem_euclid(Self::DAY) > 0)
    }
}

/// What an operation gave.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The positions of what was appended: the first and the last. Both 0 inside a transaction under way, where the
    /// engine gives positions at the commit only.
    Appended {
        /// The first entry's position.
        first: u64,
        /// The last entry's position.
        last: u64,
    },
    /// The reader is there; whether it is new.
    Opened(bool),
    /// What was taken, and when something else becomes due if nothing new comes.
    Claimed {
        /// In the order in which they should be handled.
        claims: Vec<Claimed>,
        /// The earliest moment at which a lease ends or a retry is due.
        next_due: Option<Timestamp>,
    },
    /// For each claim, whether the lease was still good.
    Settled(Vec<bool>),
    /// How many rows or entries it touched.
    Touched(u64),
    /// The row's new version; `None` when what was expected was not there.
    Put(Option<u64>),
    /// Whether it was seen for the first time.
    Marked(bool),
    /// The rows of a query.
    Rows(Vec<Row>),
}

macro_rules! unpack {
    ($(#[$doc:meta] $name:ident -> $type:ty = $pattern:pat => $value:expr;)*) => {
        impl Outcome {
            $(#[$doc]
            pub fn $name(self) -> Result<$type, Error> {
                match self {
                    $pattern => Ok($value),
                    other => Err(Error::Invalid(format!("an engine answered {other:?} to another question"))),
                }
            })*
        }
    };
}

unpack! {
    /// The positions of an append.
    appended -> (u64, u64) = Self::Appended { first, last } => (first, last);
    /// The claims and the next moment to look.
    claimed -> (Vec<Claimed>, Option<Timestamp>) = Self::Claimed { claims, next_due } => (claims, next_due);
    /// Which leases were good.
    settled -> Vec<bool> = Self::Settled(settled) => settled;
    /// How many were touched.
    touched -> u64 = Self::Touched(count) => count;
    /// The new version.
    put -> Option<u64> = Self::Put(version) => version;
    /// Whether it was the first time.
    marked -> bool = Self::Marked(first) => first;
    /// The rows.
    rows -> Vec<Row> = Self::Rows(rows) => rows;
    /// Whether the reader is new.
    opened -> bool = Self::Opened(new) => new;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_kept_to_the_end_of_its_last_day() {
        let of = |now, keep| {
            let mark = Mark {
                space: "s".into(),
                key: "k".into(),
                now: Timestamp(now),
                keep: Duration::from_micros(keep),
            };
            (mark.today(), mark.gone_by())
        };
        let day = Mark::DAY as u64;
        assert_eq!(of(0, day), (0, 1), "exactly a day has passed when the next begins");
        assert_eq!(of(1, day), (0, 2));
        assert_eq!(of(Mark::DAY - 1, 1), (0, 1));
        assert_eq!(of(-1, 0), (-1, 0));
        assert!(of(5, u64::MAX).1 > 100_000_000, "and nothing overflows");
    }
}
