//! The port to systems of others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::{Diagnose, Fault, Retry};
use dozen_dataplane::{Body, CallError, Caller, Error};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::statement::Statement;

/// One question to one provider, in its own model.
#[derive(Clone, Debug)]
pub struct ForeignRequest {
    /// Whose question it is.
    pub place: Place,
    /// The service that is the provider, where it is asked over HTTP.
    pub service: Arc<str>,
    /// The request, with its document at hand. `SQL /` asks `statement` with the values in the document, `SEND /` sends it
    /// as a message.
    pub request: http::Request<Bytes>,
    /// The statement, where a database is asked.
    pub statement: Option<Arc<Statement>>,
    /// How long it may take.
    pub timeout: Duration,
    /// Bytes of the answer's document at most.
    pub answer_max: usize,
}

/// A way of asking: it names what is recorded, counted and reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The translator.
    pub translator: Arc<str>,
    /// Its call.
    pub call: Arc<str>,
    /// Who is asked.
    pub provider: Arc<str>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} at {}", self.translator, self.call, self.provider)
    }
}

/// What a provider says, as it said it.
pub type ForeignAnswer = http::Response<Bytes>;

/// Asks a system of somebody else.
///
/// * It asks once. What has certainly not been looked at may be sent again, and what the policy of the service says.
/// * It ends within `timeout`, and never holds more of the answer than `answer_max` bytes.
/// * Every answer that came whole is `Ok`, whatever its status.
/// * Dropping the future ends the request.
///
/// [`Http`] is the one that comes with this crate. One for databases or queues gets a method, a target and a document just so,
/// and gives back a document. What it was refused is an answer as well: status 422 with `{ "code": … }`, so that a rule of the
/// file can know it.
#[async_trait]
pub trait Foreign: Send + Sync + 'static {
    /// Asks.
    async fn ask(&self, request: ForeignRequest) -> Result<ForeignAnswer, ForeignError>;
}

/// What is behind an error.
pub type Because = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// It cannot be reached: nothing was sent.
    #[error("it cannot be reached")]
    Unreachable(#[source] Because),
    /// It was reached, and it is not known what it did.
    #[error("the exchange broke off")]
    Broken(#[source] Because),
    /// It took too long, and it is not known what it did.
    #[error("it did not answer in time")]
    TimedOut,
    /// Its answer is larger than it may be.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Its answer cannot be read as a document. The source names a place and never quotes.
    #[error("its answer cannot be read")]
    Unreadable(#[source] Because),
    /// The request cannot be written down.
    #[error("the request cannot be sent")]
    Unsendable(#[source] Because),
    /// No example has this request.
    #[error("no example has this request")]
    NotRecorded,
}

impl ForeignError {
    /// Whether it is certain that the other system has not seen the request.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unsendable(_) | Self::NotRecorded)
    }
}

impl Diagnose for ForeignError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unsendable(_) | Self::NotRecorded => Fault::Caller,
            _ => Fault::Dependency,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut => Retry::Later,
            Self::TooLarge(_) | Self::Unreadable(_) | Self::Unsendable(_) | Self::NotRecorded => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        "http-upstream"
    }
}

/// Over HTTP: as the service is called that the provider is.
#[derive(Clone, Debug)]
pub struct Http(Caller);

impl Http {
    /// Through this caller.
    pub fn new(caller: Caller) -> Self {
        Self(caller)
    }
}

#[async_trait]
impl Foreign for Http {
    async fn ask(&self, asked: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        let ForeignRequest { service, request, timeout, answer_max, .. } = asked;
        let until = Instant::now() + timeout;
        let exchange = async {
            let sent = self.0.send(&service, request.map(Body::from), timeout).await;
            let answer = sent.map_err(unanswered)?;
            let (parts, body) = answer.into_parts();
            let body = body.collect(answer_max).await.map_err(failed)?;
            Ok(http::Response::from_parts(parts, body))
        };
        timeout_at(until, exchange).await.unwrap_or(Err(ForeignError::TimedOut))
    }
}

fn unanswered(error: CallError) -> ForeignError {
    match error {
        CallError::Failed { source: error, .. } => failed(error),
        unavailable => ForeignError::Unreachable(unavailable.into()),
    }
}

fn failed(error: Error) -> ForeignError {
    match error {
        Error::Connect { .. } | Error::Unprocessed { .. } | Error::Tls { .. } | Error::Certificate { .. } => {
            ForeignError::Unreachable(error.into())
        }
        Error::Request { .. } => ForeignError::Unsendable(error.into()),
        Error::TimedOut { .. } => ForeignError::TimedOut,
        Error::BodyTooLarge { limit } => ForeignError::TooLarge(limit),
        other => ForeignError::Broken(other.into()),
    }
}
