//! What one reader has made of a message, step by step.
//!
//! A claim keeps every failed attempt with its moments, up to a bound, and what it is now; from these the rest follows: how often it
//! was handed out, and whether somebody sent it round again.

use dozen_core::Timestamp;
use dozen_store::{ClaimState, ClaimStatus, Entry, ReaderStatus, Settle};
use serde::Serialize;

/// What kind of step it is; also its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    Ahead,
    Passed,
    Held,
    Due,
    HandedOut,
    InHand,
    Failed,
    Parked,
    Redriven,
    Acknowledged,
    Dropped,
}

impl What {
    /// Whether it is over, so that a missing moment is one that was not kept.
    pub(crate) fn is_past(self) -> bool {
        !matches!(self, Self::Ahead | Self::Passed | Self::Held | Self::Due | Self::InHand)
    }

    /// Its name in a class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Ahead | Self::Passed | Self::Held => "still",
            Self::Due | Self::InHand => "open",
            Self::HandedOut => "handed",
            Self::Failed => "failed",
            Self::Parked => "parked",
            Self::Redriven => "redriven",
            Self::Acknowledged => "done",
            Self::Dropped => "dropped",
        }
    }
}

/// One thing that happened, or that is going to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// When, where that is known.
    pub(crate) at: Option<Timestamp>,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
}

impl Step {
    fn new(what: What, at: Option<Timestamp>, title: impl Into<String>) -> Self {
        Self { what, at, title: title.into(), detail: None }
    }

    fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The one step of a reader that has no claim on it.
pub(super) fn unclaimed(entry: &Entry, reader: Option<&ReaderStatus>) -> Step {
    match reader {
        Some(reader) if reader.position >= entry.position => {
            Step::new(What::Passed, None, "not for this reader")
                .with("it began behind this message, or its handling has been forgotten with age")
        }
        Some(reader) => Step::new(What::Ahead, None, "not looked at yet").with(format!(
            "this reader has {} to go",
            crate::format::count(reader.lag(), "message", "messages")
        )),
        None => Step::new(What::Ahead, None, "not looked at yet"),
    }
}

/// The steps of one claim.
pub(super) fn steps(claim: &ClaimStatus, now: Timestamp) -> Vec<Step> {
    let is_discarded = claim.state == ClaimState::Dropped && claim.attempts == 0;
    let failed = match claim.state {
        ClaimState::Leased | ClaimState::Done => claim.attempts.saturating_sub(1),
        _ => claim.attempts,
    } as usize;
    // Every attempt that did not succeed left an error. More errors than attempts: a person sent it round again, which
    // counts attempts anew. Fewer: the history is full.
    let errors = claim.errors.len();
    let before = errors.saturating_sub(failed);
    let mut steps = Vec::new();
    for (at, error) in claim.errors.iter().enumerate() {
        let is_last = at + 1 == errors;
        if is_last && errors == Settle::ERRORS_MAX && failed > errors {
            let title = format!("{} more attempts failed", failed - errors);
            steps.push(Step::new(What::Failed, None, title).with("their errors are no longer kept"));
        }
        let attempt = match at.checked_sub(before) {
            None => at + 1,
            Some(_) if is_last => failed,
            Some(nth) => nth + 1,
        };
        steps.push(handed_out(attempt, error.claimed));
        let (what, title) = match claim.state {
            _ if at + 1 == before => (What::Parked, "set aside as a dead letter"),
            ClaimState::Parked if is_last => (What::Parked, "set aside as a dead letter"),
            ClaimState::Dropped if is_last => (What::Dropped, "dropped"),
            _ => (What::Failed, "failed"),
        };
        steps.push(Step::new(what, Some(error.at), title).with(&error.error));
        if at + 1 == before && !is_discarded {
            steps.push(Step::new(What::Redriven, None, "redriven").with("its attempts count anew"));
        }
    }
    match claim.state {
        ClaimState::Leased => {
            steps.push(handed_out(claim.attempts as usize, claim.claimed));
            steps.push(match claim.due {
                Some(due) if due <= now => Step::new(What::InHand, Some(due), "its lease has ended")
                    .with("the next worker that asks will get it"),
                due => Step::new(What::InHand, due, "in a worker's hands").with("until its lease ends"),
            });
        }
        ClaimState::Done => {
            steps.push(handed_out(claim.attempts as usize, claim.claimed));
            steps.push(Step::new(What::Acknowledged, claim.ended, "acknowledged"));
        }
        ClaimState::Waiting if errors == 0 => {
            steps.push(Step::new(What::Due, claim.due, "to be handed out"));
        }
        ClaimState::Waiting => steps.push(Step::new(What::Due, claim.due, "to be retried")),
        ClaimState::Held => {
            let behind = claim.key.as_deref().unwrap_or_default();
            steps.push(
                Step::new(What::Held, None, "held")
                    .with(format!("an earlier message of its key `{behind}` is not finished")),
            );
        }
        ClaimState::Dropped if is_discarded => {
            steps.push(Step::new(What::Dropped, claim.ended, "discarded"));
        }
        ClaimState::Parked | ClaimState::Dropped => {}
    }
    steps
}

fn handed_out(attempt: usize, at: Option<Timestamp>) -> Step {
    match attempt {
        0 | 1 => Step::new(What::HandedOut, at, "handed out"),
        _ => Step::new(What::HandedOut, at, format!("retried: handed out again, attempt {attempt}")),
    }
}

#[cfg(test)]
mod tests;
