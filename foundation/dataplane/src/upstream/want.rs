//! What a request wants of a service, and why it does not get it.

use std::time::Duration;

use crate::resilience::Priority;

/// What a request wants.
#[derive(Clone, Copy, Debug)]
pub struct Want<'w> {
    /// Decides between equals.
    pub random: u64,
    /// Endpoints that it has tried ([`super::Lease::id`]); none of them where there is a choice.
    pub avoid: &'w [u64],
    /// What has to go to the same endpoint has the same key; see [`super::hash_key`]. For `consistent-hash`.
    pub key: Option<u64>,
    /// Who goes first when not all can.
    pub priority: Priority,
    /// Which attempt it is, from 1. First attempts pay for those that follow.
    pub attempt: u32,
}

impl Want<'_> {
    /// Any endpoint, for the first time.
    pub fn new(random: u64) -> Self {
        Self { random, avoid: &[], key: None, priority: Priority::default(), attempt: 1 }
    }
}

/// Why a service has no endpoint for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Discovery knows of none.
    #[error("no instance of the service is known")]
    NoneKnown,
    /// There are some, and none that may be used.
    #[error("no instance of the service is healthy")]
    NoneHealthy,
    /// As many requests are in flight as are allowed.
    #[error("too many requests to the service are in flight")]
    Full,
    /// The service is busy, and what is more important goes first.
    #[error("the service is overloaded, and this request may wait")]
    Shed,
    /// Most requests have failed, so for a while there are none.
    #[error("the service keeps failing and is left alone for a moment")]
    Open {
        /// How long.
        retry_after: Duration,
    },
}

impl Unavailable {
    /// How long a client should stay away, where that can be told.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::NoneKnown | Self::NoneHealthy => None,
            Self::Full | Self::Shed => Some(Duration::from_secs(1)),
            Self::Open { retry_after } => Some(retry_after),
        }
    }

    /// The value of `Retry-After`: whole seconds, rounded up, and never 0.
    pub fn retry_after_seconds(self) -> Option<u64> {
        self.retry_after()
            .map(|wait| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1))
    }
}
