//! What can go wrong between a sender and a receiver.

use dozen_core::{Diagnose, Fault, Retry};

/// Why a port could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such topic, queue or subscription. `known` names those that are nearest.
    #[error("there is no {kind} `{name}`{}", hint(known))]
    Unknown {
        /// `topic`, `queue` or `subscription`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// Names that exist, nearest first.
        known: Vec<String>,
    },
    /// The message is larger than the destination takes.
    #[error("the message is {bytes} bytes, and `{name}` takes {bytes_max} at most")]
    TooLarge {
        /// The destination.
        name: String,
        /// What was sent.
        bytes: u64,
        /// What it takes.
        bytes_max: u64,
    },
    /// The destination holds all that it may.
    #[error("`{name}` already holds its limit of {waiting_max} messages")]
    Full {
        /// The destination.
        name: String,
        /// Its limit.
        waiting_max: u64,
    },
    /// A message, name or option is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// The store or broker behind the port failed.
    #[error("cannot {doing}")]
    Engine {
        /// What was being done, for example "append to topic `orders`".
        doing: String,
        /// Whether trying again can help, by the engine's own word.
        retry: Retry,
        /// The engine's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An error of the store, with what was being done when it came.
    pub fn engine(doing: impl Into<String>, error: dozen_store::Error) -> Self {
        Self::Engine { doing: doing.into(), retry: error.retry(), source: Box::new(error) }
    }
}

impl From<dozen_store::Error> for Error {
    /// For what happens in a transaction that also sends messages.
    fn from(error: dozen_store::Error) -> Self {
        Self::engine("complete the transaction", error)
    }
}

fn hint(known: &[String]) -> String {
    match known {
        [] => String::new(),
        [only] => format!("; did you mean `{only}`?"),
        several => format!("; there are `{}`", several.join("`, `")),
    }
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. } | Self::TooLarge { .. } | Self::Invalid(_) => Fault::Caller,
            Self::Full { .. } | Self::Engine { .. } => Fault::Dependency,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unknown { .. } | Self::TooLarge { .. } | Self::Invalid(_) => Retry::Never,
            Self::Full { .. } => Retry::Later,
            Self::Engine { retry, .. } => *retry,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-name",
            Self::TooLarge { .. } => "message-too-large",
            Self::Full { .. } => "queue-full",
            Self::Invalid(_) => "invalid-message",
            Self::Engine { .. } => "store-unavailable",
        }
    }
}
