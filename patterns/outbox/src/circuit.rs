//! What a relay does when its destination fails: pure decisions, without a clock or a connection. (The circuit of
//! `dozen_messaging` is for receivers that are sent one message at a time; this one is for batches.)
//!
//! ```text
//!             failed                        the wait is over
//!   closed ───────────► open (wait, jitter) ───────────────► probing with one message
//!     ▲                  ▲                                      │        │
//!     │                  └──────────────── failed ──────────────┘        │
//!     └──────────────────────────────────── went through ────────────────┘
//! ```

use std::time::Duration;

use dozen_core::{Backoff, Diagnose, Retry};
use dozen_messaging::Error;
use tokio::time::Instant;

/// Who is to blame for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// This message will never be taken; others may be.
    Message,
    /// Nothing is taken at the moment, not before this long.
    Destination(Duration),
}

/// Whether a message or the destination is to blame for `error`.
pub(crate) fn blame(error: &Error) -> Blame {
    let destination = match error {
        // A destination that is missing is missing for all messages, and will be there once somebody has made it.
        Error::Unknown { .. } => true,
        // Of what a store says for ever, only this is about the message; a damaged file, for example, is not.
        Error::Engine { retry: Retry::Never, source, .. } => source
            .downcast_ref::<dozen_store::Error>()
            .is_some_and(|error| !matches!(error, dozen_store::Error::Invalid(_))),
        _ => false,
    };
    match error.retry() {
        _ if destination => Blame::Destination(Duration::ZERO),
        Retry::Never => Blame::Message,
        Retry::Later => Blame::Destination(Duration::ZERO),
        Retry::After(wait) => Blame::Destination(wait),
    }
}

/// Keeps a relay from hammering at a destination that is away.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    backoff: Backoff,
    /// Failures in a row.
    failures: u32,
    until: Option<Instant>,
}

impl Circuit {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0, until: None }
    }

    /// How many messages may be tried at `now`, `most` where nothing is wrong. `Err` is when to ask again.
    pub(crate) fn allows(&self, now: Instant, most: usize) -> Result<usize, Instant> {
        match self.until {
            None => Ok(most),
            Some(until) if now < until => Err(until),
            Some(_) => Ok(most.min(1)),
        }
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.until.is_none()
    }

    /// The destination took something, or looked at it and refused it.
    pub(crate) fn answered(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// It took nothing. Waits at least as long as it asks for; gives when to try again.
    pub(crate) fn failed(&mut self, now: Instant, asks: Duration, random: u64) -> Instant {
        self.failures = self.failures.saturating_add(1);
        let until = now + self.backoff.delay(self.failures, random).max(asks);
        self.until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(error: dozen_store::Error) -> Blame {
        blame(&Error::engine("publish", error))
    }

    #[test]
    fn a_message_is_blamed_only_for_itself() {
        let away = Blame::Destination(Duration::ZERO);
        assert_eq!(blame(&Error::TooLarge { name: "t".into(), bytes: 2, bytes_max: 1 }), Blame::Message);
        assert_eq!(blame(&Error::Invalid("no id".into())), Blame::Message);
        assert_eq!(engine(dozen_store::Error::Invalid("a NUL".into())), Blame::Message);
        assert_eq!(blame(&Error::Unknown { kind: "topic", name: "t".into(), known: vec![] }), away);
        assert_eq!(blame(&Error::Full { name: "t".into(), waiting_max: 1 }), away);
        assert_eq!(engine(dozen_store::Error::ReadOnly { location: "x".into() }), away);
        assert_eq!(engine(dozen_store::Error::Closed), away);
        let source = Box::new(std::io::Error::other("no such exchange"));
        let later = Retry::After(Duration::from_secs(9));
        let busy = Error::Engine { doing: "publish".into(), retry: later, source };
        assert_eq!(blame(&busy), Blame::Destination(Duration::from_secs(9)));
    }

    #[test]
    fn it_opens_waits_longer_each_time_and_tries_with_one() {
        let start = Instant::now();
        let mut circuit = Circuit::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)));
        assert_eq!(circuit.allows(start, 500), Ok(500));
        let first = circuit.failed(start, Duration::ZERO, 0);
        assert_eq!(first - start, Duration::from_millis(500));
        assert_eq!(circuit.allows(start, 500), Err(first));
        assert_eq!(circuit.allows(first, 500), Ok(1), "a probe");
        let mut last = first - start;
        for _ in 0..20 {
            let wait = circuit.failed(start, Duration::ZERO, 0) - start;
            assert!(wait >= last && wait <= Duration::from_secs(60), "{wait:?}");
            last = wait;
        }
        assert_eq!(circuit.failed(start, Duration::from_secs(600), 0) - start, Duration::from_secs(600));
        circuit.answered();
        assert_eq!(circuit.allows(start, 500), Ok(500));
        assert!(circuit.is_closed());
        assert_eq!(circuit.failed(start, Duration::ZERO, 0), first, "it counts anew");
    }
}
