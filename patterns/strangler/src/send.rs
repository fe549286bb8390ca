//! The way to the two systems, as a port.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::{Diagnose, Fault, Retry};

use crate::compare::Answer;

/// A whole request.
pub type Request = http::Request<Bytes>;

/// How long the head of an answer took: in its extensions, where its sender knows that.
#[derive(Clone, Copy, Debug)]
pub struct Began(pub Duration);

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
    /// It was not asked at all, for a reason that says nothing of it: there was no place for what nobody waits for, or what the
    /// request needs was not to be had elsewhere.
    #[error("the service was not asked: {0}")]
    NotAsked(String),
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
            Self::Away(_) | Self::NotAsked(_) | Self::TimedOut => Retry::Later,
            Self::TooLarge(_) => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        "http-upstream"
    }
}
