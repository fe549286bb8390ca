//! What can go wrong, as a page for people and as a problem document for programs.

use dozen_core::{Diagnose, Fault, Retry, chain};
use http::StatusCode;

/// Why the console cannot show or do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {kind} `{name}`{hint}")]
    Unknown {
        /// `queue`, `topic`, `message`, `page`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What may be the cause, with its punctuation.
        hint: &'static str,
    },
    /// The request was asked for under a name that is not the console's.
    #[error(
        "the console is not served under the name `{0}`; use 127.0.0.1 or localhost, or add the name to the console's \
         `hosts`"
    )]
    Host(String),
    /// A change that did not come from one of the console's own pages.
    #[error(
        "this change was not asked for by a page of this console ({0}); reload the page and press the button again"
    )]
    Foreign(&'static str),
    /// A form that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Too many pages are open.
    #[error("{0} pages are following already; close one")]
    Crowded(usize),
    /// The operating system gives no randomness, without which the pages cannot be protected.
    #[error("the operating system gives no random numbers")]
    Random(#[source] getrandom::Error),
    /// A queue, a topic or a relay says so.
    #[error(transparent)]
    Messaging(#[from] dozen_messaging::Error),
    /// A feature says so.
    #[error(transparent)]
    Feature(#[from] dozen_strangler::Error),
    /// The store failed.
    #[error("the store did not answer")]
    Store(#[from] dozen_store::Error),
}

impl Error {
    /// The status of the answer that carries it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unknown { .. } => StatusCode::NOT_FOUND,
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Crowded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Random(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(dozen_store::Error::NoReader { .. }) => StatusCode::NOT_FOUND,
            Self::Messaging(dozen_messaging::Error::Unknown { .. }) => StatusCode::NOT_FOUND,
            Self::Messaging(error) if error.fault() == Fault::Caller => StatusCode::BAD_REQUEST,
            Self::Feature(dozen_strangler::Error::Unknown { .. }) => StatusCode::NOT_FOUND,
            Self::Feature(error) if error.fault() == Fault::Caller => StatusCode::CONFLICT,
            Self::Messaging(_) | Self::Feature(_) | Self::Store(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The whole of it in one sentence.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }
}

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Messaging(error) => error.fault(),
            Self::Feature(error) => error.fault(),
            Self::Random(_) => Fault::Dependency,
            _ => Fault::Caller,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Store(error) => error.retry(),
            Self::Messaging(error) => error.retry(),
            Self::Feature(error) => error.retry(),
            Self::Crowded(_) => Retry::Later,
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-name",
            Self::Host(_) | Self::Foreign(_) | Self::Invalid(_) => "console-refused",
            Self::Crowded(_) => "console-crowded",
            Self::Random(_) => "no-randomness",
            Self::Store(error) => error.page(),
            Self::Messaging(error) => error.page(),
            Self::Feature(error) => error.page(),
        }
    }
}
