//! What a registry refuses, and why.

use dozen_core::{Diagnose, Fault, Retry};

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of the request is not acceptable.
    #[error("`{what}` {problem}")]
    Invalid {
        /// The part.
        what: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The registry holds all that it may.
    #[error("the registry already holds its limit of {limit} {what}")]
    Full {
        /// `services`, `instances of <service>` or `watchers`.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// The instance is not there: it never registered, it was removed, or the registry has been restarted.
    #[error("service `{service}` has no instance `{id}`")]
    Unknown {
        /// The service.
        service: String,
        /// The instance.
        id: String,
    },
    /// The instance is part of the configuration, and only the configuration can change it.
    #[error("instance `{id}` of service `{service}` is declared in the configuration")]
    Declared {
        /// The service.
        service: String,
        /// The instance.
        id: String,
    },
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Full { .. } => Fault::Dependency,
            Self::Invalid { .. } | Self::Unknown { .. } | Self::Declared { .. } => Fault::Caller,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Full { .. } => Retry::Later,
            Self::Invalid { .. } | Self::Unknown { .. } | Self::Declared { .. } => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid-registration",
            Self::Full { .. } => "registry-full",
            Self::Unknown { .. } => "unknown-instance",
            Self::Declared { .. } => "declared-instance",
        }
    }
}
