//! A service that mostly fails is left alone for a while, then tried with a few requests.
//!
//! ```text
//!           failure-percent of at least requests-min           `open` has passed
//!   Closed ────────────────────────────────────────► Open ◄─────────────┐ ────► HalfOpen
//!      ▲                                               ▲   one of them fails       │ exactly `trials` requests
//!      └───────────────────────────────────────────────┴───────────────────────────┘
//!                          all of them succeed
//! ```
//!
//! The circuit breaker of Michael Nygard (*Release It!*, 2007), on a ratio instead of a count. Refusing at once spares the
//! caller the wait, and the service the load that keeps it from recovering. A trial that ends without a verdict (its
//! client went away) gives its place back; a round without a verdict for as long as the circuit was open begins again,
//! so that trials which hang do not keep the circuit shut for ever. Answers to requests from before do not count.
//!
//! All of the state is one word, and every transition a pure function on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Window;
use crate::moment::Moment;

/// When a service is left alone, for how long, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BreakerPolicy {
    /// Over how long failures are counted.
    #[serde(with = "dozen_core::duration")]
    pub window: Duration,
    /// Fewer requests than these in the window decide nothing.
    pub requests_min: u32,
    /// Failures for each hundred requests that open the circuit.
    pub failure_percent: u32,
    /// How long the service then is left alone.
    #[serde(with = "dozen_core::duration")]
    pub open: Duration,
    /// Requests that are let through after that, and all have to succeed. At most 65,535.
    pub trials: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        let (window, open) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { window, requests_min: 20, failure_percent: 50, open, trials: 3 }
    }
}

impl BreakerPolicy {
    fn trials(&self) -> u64 {
        u64::from(self.trials).clamp(1, COUNT_MASK)
    }
}

/// How a circuit stands, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Circuit {
    /// Requests go through.
    #[default]
    Closed,
    /// None does.
    Open,
    /// A few do, to see whether it works again.
    HalfOpen,
}

/// The round of trials that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trial(u64);

const COUNT_MASK: u64 = (1 << 16) - 1;
const ROUND_MASK: u64 = (1 << 30) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Moment,
    },
    /// `round` is the moment of its start in milliseconds, and so its name, too.
    HalfOpen {
        round: u64,
        admitted: u64,
        succeeded: u64,
    },
}

impl Phase {
    fn read(word: u64) -> Self {
        match word & 3 {
            1 => Self::Open { until: Moment(word >> 2) },
            2 => Self::HalfOpen {
                round: word >> 34 & ROUND_MASK,
                admitted: word >> 2 & COUNT_MASK,
                succeeded: word >> 18 & COUNT_MASK,
            },
            _ => Self::Closed,
        }
    }

    fn word(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until } => until.0 << 2 | 1,
            Self::HalfOpen { round, admitted, succeeded } => {
                round << 34 | succeeded << 18 | admitted << 2 | 2
            }
        }
    }

    fn open(now: Moment, policy: &BreakerPolicy) -> Self {
        Self::Open { until: now.after(policy.open) }
    }

    /// Lets a request through, or says how long nothing will be.
    fn admit(self, now: Moment, policy: &BreakerPolicy) -> (Self, Result<Option<Trial>, Duration>) {
        let millis = (now.0 / 1000) & ROUND_MASK;
        let first = Self::HalfOpen { round: millis, admitted: 1, succeeded: 0 };
        match self {
            Self::Closed => (self, Ok(None)),
            Self::Open { until } if now < until => (self, Err(until.since(now))),
            Self::Open { .. } => (first, Ok(Some(Trial(millis)))),
            Self::HalfOpen { round, admitted, succeeded } if admitted < policy.trials() => {
                (Self::HalfOpen { round, admitted: admitted + 1, succeeded }, Ok(Some(Trial(round))))
            }
            Self::HalfOpen { round, .. } => {
                let age = Duration::from_millis(millis.wrapping_sub(round) & ROUND_MASK);
                match policy.open.checked_sub(age) {
                    Some(left) if !left.is_zero() => (self, Err(left)),
                    _ => (first, Ok(Some(Trial(millis)))),
                }
            }
        }
    }

    /// A request ended. `Trial` says that it was one.
    fn ended(self, trial: Option<Trial>, verdict: Verdict, now: Moment, policy: &BreakerPolicy) -> Self {
        match (self, trial) {
            (Self::HalfOpen { round, admitted, succeeded }, Some(Trial(of))) if of == round => {
                match verdict {
                    Verdict::Failed => Self::open(now, policy),
                    Verdict::Succeeded if succeeded + 1 >= policy.trials() => Self::Closed,
                    Verdict::Succeeded => Self::HalfOpen { round, admitted, succeeded: succeeded + 1 },
                    Verdict::None => {
                        Self::HalfOpen { round, admitted: admitted.saturating_sub(1), succeeded }
                    }
                }
            }
            _ => self,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Succeeded,
    Failed,
    None,
}

/// The circuit of one service.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    phase: AtomicU64,
    window: Window,
}

impl Breaker {
    /// Lets a request through, perhaps as a trial, or says how long to stay away.
    pub(crate) fn admit(&self, now: Moment, policy: &BreakerPolicy) -> Result<Option<Trial>, Duration> {
        if self.phase.load(Ordering::Relaxed) == Phase::Closed.word() {
            return Ok(None);
        }
        let mut outcome = Ok(None);
        self.change(|phase| {
            let (next, admitted) = phase.admit(now, policy);
            outcome = admitted;
            next
        });
        outcome
    }

    /// A request was answered.
    pub(crate) fn succeeded(&self, trial: Option<Trial>, now: Moment, policy: &BreakerPolicy) {
        match trial {
            None => self.window.add(now, policy.window, 1, 0),
            Some(_) => {
                let (before, after) =
                    self.change(|phase| phase.ended(trial, Verdict::Succeeded, now, policy));
                if after == Phase::Closed && before != after {
                    // What failed before the circuit opened says nothing about the service that came back.
                    self.window.clear();
                }
            }
        }
    }

    /// A request failed. True if that opened the circuit.
    pub(crate) fn failed(&self, trial: Option<Trial>, now: Moment, policy: &BreakerPolicy) -> bool {
        let mut should_open = false;
        if trial.is_none() {
            self.window.add(now, policy.window, 1, 1);
            let counts = self.window.counts(now, policy.window);
            should_open = counts.reach(policy.failure_percent, policy.requests_min);
        }
        if trial.is_none() && !should_open {
            return false;
        }
        let (before, after) = self.change(|phase| match phase {
            Phase::Closed if should_open => Phase::open(now, policy),
            phase => phase.ended(trial, Verdict::Failed, now, policy),
        });
        before != after
    }

    /// A trial ended without a verdict.
    pub(crate) fn forgone(&self, trial: Trial) {
        // Neither the time nor the policy matters to one that has no verdict.
        let policy = BreakerPolicy::default();
        self.change(|phase| phase.ended(Some(trial), Verdict::None, Moment::default(), &policy));
    }

    /// How it stands.
    pub(crate) fn circuit(&self, now: Moment) -> Circuit {
        match Phase::read(self.phase.load(Ordering::Relaxed)) {
            Phase::Closed => Circuit::Closed,
            Phase::Open { until } if now < until => Circuit::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    /// Closes it: the policy that opened it is gone.
    pub(crate) fn reset(&self) {
        self.phase.store(Phase::Closed.word(), Ordering::Relaxed);
        self.window.clear();
    }

    /// Takes one step; tells from where to where.
    fn change(&self, mut step: impl FnMut(Phase) -> Phase) -> (Phase, Phase) {
        let mut next = Phase::Closed;
        let stepped = self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            next = step(Phase::read(word));
            Some(next.word())
        });
        (Phase::read(stepped.unwrap_or_default()), next)
    }
}

#[cfg(test)]
mod tests;
