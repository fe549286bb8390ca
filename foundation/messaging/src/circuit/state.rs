//! What a circuit knows, without a clock, a lock or a wait: what happened goes in, whose turn it is comes out.

use std::collections::VecDeque;
use std::time::Duration;

use dozen_core::{Backoff, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Characters of an error that are kept.
const ERROR_LENGTH_MAX: usize = 300;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOptions {
    /// Failures in a row after which it opens; at least 1.
    pub failures_max: u32,
    /// The waits between probes.
    pub backoff: Backoff,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { failures_max: 5, backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)) }
    }
}

/// Whether a receiver is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CircuitState {
    /// It is.
    #[default]
    Closed,
    /// It failed, and is left alone for a while.
    Open,
    /// One message is being tried.
    Probing,
}

/// A circuit as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitStatus {
    /// Whether the receiver is sent to.
    pub state: CircuitState,
    /// Failures in a row.
    pub failures: u32,
    /// When it opened.
    pub since: Option<Timestamp>,
    /// The latest error of the receiver; none once it answers again.
    pub error: Option<String>,
}

/// One receiver's circuit, and those who wait for it.
#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    failures: u32,
    since: Option<Timestamp>,
    error: Option<String>,
    /// Those who wait to send, in turn. As many as the worker runs at once, at most.
    waiting: VecDeque<u64>,
    tickets: u64,
    /// Probes that failed since it opened.
    probes: u32,
    given_up: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

/// What one who wants to send finds.
pub(super) enum Turn {
    Go {
        probe: bool,
    },
    /// Not now: until that moment, or until something changes.
    Wait(Option<Instant>),
    Never,
}

/// A message that the receiver did not take.
pub(super) struct Failed<'e> {
    pub(super) probe: bool,
    pub(super) error: &'e str,
    /// When, by the timers and by the wall clock.
    pub(super) now: Instant,
    pub(super) moment: Timestamp,
    /// For the jitter of the wait.
    pub(super) random: u64,
}

impl State {
    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    pub(super) fn status(&self) -> CircuitStatus {
        let state = match self.phase {
            Phase::Closed => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::Probing => CircuitState::Probing,
        };
        CircuitStatus { state, failures: self.failures, since: self.since, error: self.error.clone() }
    }

    /// Gets in line.
    pub(super) fn join(&mut self) -> u64 {
        self.tickets += 1;
        self.waiting.push_back(self.tickets);
        self.tickets
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|waiting| *waiting != ticket);
    }

    pub(super) fn turn(&mut self, ticket: u64, now: Instant) -> Turn {
        match self.phase {
            Phase::Closed => Turn::Go { probe: false },
            _ if self.given_up => Turn::Never,
            Phase::Open { until } if self.waiting.front() == Some(&ticket) => {
                if now < until {
                    return Turn::Wait(Some(until));
                }
                self.phase = Phase::Probing;
                Turn::Go { probe: true }
            }
            _ => Turn::Wait(None),
        }
    }

    /// How many of `max` messages may be taken: beside those that wait, one more for each probe that failed.
    pub(super) fn room(&self, max: usize) -> usize {
        match self.phase {
            Phase::Closed => max,
            _ => max.min(usize::from(self.waiting.len() <= self.probes as usize)),
        }
    }

    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    pub(super) fn answered(&mut self) {
        (self.phase, self.failures, self.probes) = (Phase::Closed, 0, 0);
        (self.since, self.error) = (None, None);
    }

    pub(super) fn failed(&mut self, failed: &Failed<'_>, options: &CircuitOptions) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(failed.error.chars().take(ERROR_LENGTH_MAX).collect());
        if failed.probe {
            self.probes = self.probes.saturating_add(1);
        }
        let opens = self.is_closed() && self.failures >= options.failures_max.max(1);
        if opens {
            self.since = Some(failed.moment);
        }
        if failed.probe || opens {
            let wait = options.backoff.delay(self.probes + 1, failed.random);
            self.phase = Phase::Open { until: failed.now + wait };
        }
    }

    /// A probe ended without a word: whoever is next may probe at once.
    pub(super) fn hand_on(&mut self, now: Instant) {
        if self.phase == Phase::Probing {
            self.phase = Phase::Open { until: now };
        }
    }
}
