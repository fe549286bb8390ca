//! What a user writes about a system of somebody else.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use dozen_dataplane::resilience::BreakerPolicy;
use serde::{Deserialize, Serialize};

/// One system of somebody else. What guards it is shared by all translators that ask it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProviderOptions {
    /// The service that it is reached as. Without it, its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How it is asked.
    pub speaks: Speaks,
    /// How long it may take for one answer.
    #[serde(with = "dozen_core::duration")]
    pub timeout: Duration,
    /// Requests to it at one time.
    pub in_flight_max: NonZeroU32,
    /// Requests that may wait for another to end; more are refused at once.
    pub pending_max: u32,
    /// When it is left alone because it keeps failing.
    pub circuit: BreakerPolicy,
    /// Bytes of an answer; a larger one is refused.
    pub answer_max: NonZeroUsize,
    /// Whether the recorded examples answer in its place. Nothing is sent to it then.
    pub mock: bool,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            service: None,
            speaks: Speaks::Http,
            timeout: Duration::from_secs(5),
            in_flight_max: const { NonZeroU32::new(32).expect("32 is not 0") },
            pending_max: 64,
            circuit: BreakerPolicy::default(),
            answer_max: const { NonZeroUsize::new(1024 * 1024).expect("a mebibyte is not 0") },
            mock: false,
        }
    }
}

/// How a provider is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// Over HTTP.
    #[default]
    Http,
    /// With a statement of SQL; its rows are the answer.
    Sql,
    /// With a message, whose reply is the answer.
    Messages,
}

impl Speaks {
    /// In a sentence.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Http => "a provider that is asked over HTTP",
            Self::Sql => "a database",
            Self::Messages => "a provider that is asked with messages",
        }
    }
}
