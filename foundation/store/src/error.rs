//! What can go wrong between a caller and an engine.

use std::time::Duration;

use dozen_core::{Diagnose, Fault, Retry};

/// Why a store could not do what it was asked. After an error nothing of the transaction has happened, except where
/// [`Error::Unknown`] says that this cannot be known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store's address is not one that any engine here understands.
    #[error("`{url}` is no store that this build can open: {problem}")]
    Address {
        /// The address, without a password.
        url: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The file or database cannot be opened.
    #[error("cannot open the store {location}: {problem}")]
    Open {
        /// Which one.
        location: String,
        /// Why, and what to do.
        problem: String,
    },
    /// It is there, and it is damaged.
    #[error(
        "the store {location} is damaged ({problem}); stop dozen, keep a copy of the file, and restore a backup or \
         recover it with `sqlite3 {location} .recover`"
    )]
    Corrupt {
        /// Which one.
        location: String,
        /// The engine's word.
        problem: String,
    },
    /// It was written by a later version of this program.
    #[error(
        "the store {location} has schema {found}, and this binary knows {known} at most; run the newer version of \
         dozen that wrote it"
    )]
    Newer {
        /// Which one.
        location: String,
        /// The schema's version in it.
        found: u32,
        /// The latest that this binary knows.
        known: u32,
    },
    /// It may not be written.
    #[error("the store {location} cannot be written; check the permissions of the file and of its folder")]
    ReadOnly {
        /// Which one.
        location: String,
    },
    /// There is no room.
    #[error(
        "the disk that holds the store {location} is full; nothing of this transaction was kept; make room"
    )]
    Full {
        /// Which one.
        location: String,
    },
    /// Somebody else kept it locked for too long.
    #[error("the store {location} was locked by another process for {waited:?}")]
    Busy {
        /// Which one.
        location: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A transaction held the store for too long and was rolled back.
    #[error(
        "the transaction was open for more than {limit:?} and was rolled back; do slow work outside of it"
    )]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// A reader that nobody opened.
    #[error("stream `{stream}` has no reader `{reader}`")]
    NoReader {
        /// The stream.
        stream: String,
        /// The reader.
        reader: String,
    },
    /// A row that the transaction requires is not as it expects.
    #[error("row `{key}` of `{space}` is not as the transaction expects it")]
    Unexpected {
        /// The table.
        space: String,
        /// The row.
        key: String,
    },
    /// A value breaks a rule of the store.
    #[error("{0}")]
    Invalid(String),
    /// The caller's own SQL failed.
    #[error("the statement `{statement}` failed: {problem}")]
    Statement {
        /// The start of its text. Never its parameters.
        statement: String,
        /// The engine's word.
        problem: String,
    },
    /// This engine has no such ability.
    #[error("the {engine} engine cannot {what}")]
    Unsupported {
        /// Which engine.
        engine: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// The engine failed in a way that trying again may mend.
    #[error("the store {location} failed: {problem}")]
    Failed {
        /// Which one.
        location: String,
        /// The engine's word.
        problem: String,
    },
    /// The connection was lost during the commit: it may or may not have happened.
    #[error("it is not known whether the transaction was committed: {problem}")]
    Unknown {
        /// What happened.
        problem: String,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Address { .. }
            | Self::NoReader { .. }
            | Self::Unexpected { .. }
            | Self::Invalid(_)
            | Self::Statement { .. }
            | Self::TooSlow { .. }
            | Self::Unsupported { .. } => Fault::Caller,
            Self::Closed => Fault::Ourselves,
            _ => Fault::Dependency,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Full { .. } | Self::Busy { .. } | Self::Failed { .. } | Self::Unknown { .. } => {
                Retry::Later
            }
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "store-corrupt",
            Self::Newer { .. } => "store-newer",
            Self::ReadOnly { .. } => "store-read-only",
            Self::Full { .. } => "store-full",
            Self::Busy { .. } | Self::TooSlow { .. } => "store-busy",
            _ => "store-unavailable",
        }
    }
}
