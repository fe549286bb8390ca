//! What has been seen of a feature, as counts that can be added up across gateways.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::rate::Rate;

/// One side's answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// How many requests have ended, one way or the other.
    #[serde(default)]
    pub asked: u64,
    /// Those without an answer, and those with a status of 500 or more.
    pub errors: u64,
    /// How long they took, errors included; of those that both sides see the same mixture of.
    pub latency: Histogram,
}

impl Answers {
    /// How many failed.
    pub fn failing(&self) -> Rate {
        Rate::new(self.errors, self.asked)
    }
}

/// What has been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Comparisons that count, and how many of them found a difference.
    pub differing: Rate,
    /// Reconciled writes, and how many of them are not equal on both sides.
    pub unreconciled: Rate,
    /// Writes that could not be looked at on both sides, and so prove nothing.
    #[serde(default)]
    pub unread: u64,
    /// Comparisons that say nothing: noise not learnt yet, a body that cannot be read.
    pub incomparable: u64,
    /// The old side.
    pub old: Answers,
    /// The new side.
    pub new: Answers,
}

impl Counts {
    /// Takes over what `other` has counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, more) in
            [(&mut self.differing, other.differing), (&mut self.unreconciled, other.unreconciled)]
        {
            mine.hits += more.hits;
            mine.trials += more.trials;
        }
        self.unread += other.unread;
        self.incomparable += other.incomparable;
        for (mine, more) in [(&mut self.old, &other.old), (&mut self.new, &other.new)] {
            mine.asked += more.asked;
            mine.errors += more.errors;
            mine.latency.add(&more.latency);
        }
    }
}

/// What the gate judges by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// All of this epoch.
    pub whole: Counts,
    /// What the latest window adds: a break is seen here before it shows in the whole.
    pub recent: Counts,
    /// Which window that is, counted from 0.
    pub window: u64,
    /// Whether writes are fed to the other side, and how far it is behind; `None` inside when that is not known.
    pub lag: Option<Option<std::time::Duration>>,
}
