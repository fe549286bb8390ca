//! The way to the two systems, as a port.

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::{Diagnose, Fault, Retry};

use crate::compare::Answer;

/// A whole request.
pub type Request = http::Request<Bytes>;

/// Sends requests that no client waits for.
///
/// * It has connections of its own: what is sent here takes none from those whom a client waits for.
/// * It sends once; nothing is retried.
/// * It reads no more than `body_max` bytes of an answer's body, and fails with [`Unsent::TooLarge`] beyond.
/// * Dropping the future ends the request.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// Sends `request` to `service` and gives the whole answer.
    async fn send(&self, service: &str, request: Request, body_max: usize) -> Result<Answer, Unsent>;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The service cannot be reached, or broke off.
    #[error("the service cannot be reached: {0}")]
    Away(String),
    /// It took too long.
    #[error("the service did not answer in time")]
    TimedOut,
    /// The answer's body is too large to be kept.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Diagnose for Unsent {
    fn fault(&self) -> Fault {
        Fault::Dependency
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Away(_) | Self::TimedOut => Retry::Later,
            Self::TooLarge(_) => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        "http-upstream"
    }
}
