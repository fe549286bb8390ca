//! What the program can fail with, and how it says so.

use std::io;
use std::process::ExitCode;

use dozen_core::{Diagnose, Fault, Retry};

use crate::config;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The arguments are not what the command takes.
    #[error("{0}")]
    Usage(String),
    /// The system refuses something that the process needs.
    #[error("cannot {doing}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system says.
        source: io::Error,
    },
    /// A part of the running application ended although nobody asked it to.
    #[error("`{part}` failed: {why}")]
    Part {
        /// Which part.
        part: String,
        /// Why, in its own words.
        why: String,
    },
    /// Some parts had to be cut when it stopped.
    #[error("did not end within {deadline} and had to be cut: {}", parts.join(", "))]
    Cut {
        /// Which parts.
        parts: Vec<String>,
        /// How long they had.
        deadline: String,
    },
    /// An operation on the store, a queue, a topic… failed.
    #[error("cannot {doing}")]
    Pattern {
        /// What was being done, for example "list the queues".
        doing: String,
        /// The page of the pattern's own error.
        page: &'static str,
        /// Who has to act, by the pattern's own word.
        fault: Fault,
        /// Whether trying again can help, by the pattern's own word.
        retry: Retry,
        /// The pattern's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Wraps an error of the system with what was being done.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::System { doing, source }
    }

    /// Wraps an error of a pattern with what was being done; its decisions stay its own.
    pub fn pattern<E: Diagnose + Send + Sync + 'static>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        |error| Self::Pattern {
            doing,
            page: error.page(),
            fault: error.fault(),
            retry: error.retry(),
            source: Box::new(error),
        }
    }

    /// 2 for wrong usage or a wrong file, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Config(_) | Self::Usage(_) => Fault::Caller,
            Self::System { .. } | Self::Part { .. } | Self::Cut { .. } => Fault::Dependency,
            Self::Pattern { fault, .. } => *fault,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Config(_) | Self::Usage(_) => Retry::Never,
            Self::System { .. } | Self::Part { .. } | Self::Cut { .. } => Retry::Later,
            Self::Pattern { retry, .. } => *retry,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Config(_) => "configuration",
            Self::Usage(_) => "usage",
            Self::System { .. } => "system",
            Self::Part { .. } => "part-failed",
            Self::Cut { .. } => "cut",
            Self::Pattern { page, .. } => page,
        }
    }
}
