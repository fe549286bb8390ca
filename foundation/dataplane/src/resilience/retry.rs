//! Whether a request that failed is sent again.
//!
//! One function says so, from everything that matters, and says why not. In the order of its reasons: the failure is of
//! a kind that is retried; sending it twice is safe (nothing was sent, or the request is idempotent) and possible (its
//! body is still here); there are attempts left; nobody else retries it as well, because three layers of three attempts
//! are twenty-seven; the wait fits into the time that the caller gives; and last, because asking costs: the service's
//! budget pays for it.
//!
//! A connection that could not be opened is the harmless case. Nothing was sent, so neither the method nor the body
//! matters, and the first such retry goes to another endpoint at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Cause;

/// Which attempt a request is, from 1; on an answer, how many were made. Whoever retries sends it on, and whoever finds
/// it leaves retrying to the other, except for connections that cannot be opened.
pub const ATTEMPT_HEADER: &str = "dozen-attempt";

/// What is retried, how often, and how far apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 retries nothing.
    pub attempts_max: u32,
    /// How long one attempt may take to the head of its answer; without it, as long as the request may.
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Duration>,
    /// The failures that are retried.
    pub on: Vec<Cause>,
    /// The longest first wait. Each wait is drawn evenly from nothing to twice the longest before it ("full jitter":
    /// Marc Brooker, *Exponential Backoff And Jitter*, AWS 2015).
    #[serde(with = "dozen_core::duration")]
    pub backoff: Duration,
    /// No wait is longer, unless the answer asks for it and the caller has a deadline that allows it.
    #[serde(with = "dozen_core::duration")]
    pub backoff_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            per_try_timeout: None,
            on: vec![
                Cause::Connect,
                Cause::Reset,
                Cause::Timeout,
                Cause::Status(502),
                Cause::Status(503),
                Cause::Status(504),
            ],
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
        }
    }
}

/// An attempt that failed, and what is left to the request.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Attempts made, this one included.
    pub number: u32,
    /// How it failed.
    pub cause: Cause,
    /// Whether the method is idempotent, or the request carries an idempotency key.
    pub is_idempotent: bool,
    /// Whether all of the body is still at hand.
    pub is_replayable: bool,
    /// Time until the caller's deadline; `None` if it has none.
    pub left: Option<Duration>,
    /// How long the answer asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether another layer retries this request, see [`is_retried_elsewhere`].
    pub is_retried_elsewhere: bool,
    /// For the jitter.
    pub random: u64,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another one, on another endpoint where there is one.
    Retry {
        /// The wait before it.
        after: Duration,
    },
    /// The failure is passed on.
    GiveUp(GiveUp),
}

/// Why a request is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiveUp {
    /// The policy does not name this failure.
    #[error("a failure of this kind is not retried")]
    Cause,
    /// It may have had its effect already.
    #[error("the request may have had an effect, and is not idempotent")]
    NotIdempotent,
    /// What was sent of the body is gone.
    #[error("the request's body has been sent and was not kept")]
    NotReplayable,
    /// It was tried as often as it may be.
    #[error("all attempts are used up")]
    Attempts,
    /// Another layer retries it.
    #[error("another proxy retries this request")]
    Elsewhere,
    /// The service asks for a wait that is longer than there is time.
    #[error("the service asks to wait for longer than there is time")]
    RetryAfter,
    /// The deadline comes first.
    #[error("there is no time left")]
    Time,
    /// Too much is being retried.
    #[error("the service's budget for retries is used up")]
    Budget,
}

impl RetryPolicy {
    /// The one that only tries other endpoints while none has been reached.
    pub fn of_connections() -> Self {
        Self { on: vec![Cause::Connect], ..Self::default() }
    }

    /// Whether a request is sent again that may have arrived.
    pub(crate) fn repeats(&self) -> bool {
        self.attempts_max > 1 && self.on.iter().any(|cause| *cause != Cause::Connect)
    }

    /// Whether a failed attempt is followed by another. `withdraw` spends from the budget; it is asked last, and only
    /// when everything else allows a retry.
    pub fn decide(&self, attempt: &Attempt, withdraw: impl FnOnce() -> bool) -> Decision {
        match self.wait(attempt) {
            Err(why) => Decision::GiveUp(why),
            Ok(_) if !withdraw() => Decision::GiveUp(GiveUp::Budget),
            Ok(after) => Decision::Retry { after },
        }
    }

    /// The wait before another attempt, if there is to be one.
    fn wait(&self, attempt: &Attempt) -> Result<Duration, GiveUp> {
        let was_sent = attempt.cause != Cause::Connect;
        if !self.on.contains(&attempt.cause) {
            return Err(GiveUp::Cause);
        }
        if was_sent && !attempt.is_idempotent {
            return Err(GiveUp::NotIdempotent);
        }
        if was_sent && !attempt.is_replayable {
            return Err(GiveUp::NotReplayable);
        }
        if attempt.number >= self.attempts_max {
            return Err(GiveUp::Attempts);
        }
        if was_sent && attempt.is_retried_elsewhere {
            return Err(GiveUp::Elsewhere);
        }
        let jitter = match attempt.number {
            1 if !was_sent => Duration::ZERO,
            number => full_jitter(self.backoff, self.backoff_max, number, attempt.random),
        };
        if let Some(asked) = attempt.retry_after
            && asked >= attempt.left.unwrap_or(self.backoff_max.saturating_add(Duration::from_micros(1)))
        {
            return Err(GiveUp::RetryAfter);
        }
        let wait = jitter.max(attempt.retry_after.unwrap_or_default());
        match attempt.left {
            Some(left) if wait >= left => Err(GiveUp::Time),
            _ => Ok(wait),
        }
    }
}

/// Evenly between nothing and `first · 2ⁿ⁻¹`, which is never more than `cap`.
fn full_jitter(first: Duration, cap: Duration, number: u32, random: u64) -> Duration {
    let doublings = number.saturating_sub(1).min(31);
    let longest = first.saturating_mul(1 << doublings).min(cap);
    let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(random % (longest + 1))
}

/// Whether another layer retries this request: the request came with [`ATTEMPT_HEADER`], so one in front of us does; or
/// the answer tells of more than one attempt, so one behind us did already.
pub fn is_retried_elsewhere(request: Option<&[u8]>, answer: Option<&[u8]>) -> bool {
    let attempts = |value: &[u8]| std::str::from_utf8(value).ok()?.trim().parse::<u32>().ok();
    request.and_then(attempts).is_some() || answer.and_then(attempts).is_some_and(|made| made > 1)
}

#[cfg(test)]
mod tests;
