//! The journey of a message, told from what the journal keeps: a pure function from sightings to steps.
//!
//! ```text
//!  request ──► stored in queue/invoices ──► handed out ─► failed ─► handed out again ─► acknowledged
//!         └──► stored in topic/orders ──┬─► mail:  handed out ─► acknowledged
//!                                       └─► stock: not looked at yet
//! ```
//!
//! A claim keeps every failed attempt with its moments, up to a bound. Nothing is invented: what the store does not know
//! is left blank.

use dozen_core::{Message, Timestamp};
use dozen_store::{ClaimState, ClaimStatus, Entry, ReaderStatus, Settle, Sighting};
use serde::Serialize;

use crate::sources::RequestView;

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

/// What one reader has made of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Lane {
    pub(crate) reader: String,
    pub(crate) claim: Option<ClaimStatus>,
    pub(crate) steps: Vec<Step>,
}

/// One stream that it is in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stop {
    pub(crate) stream: String,
    pub(crate) position: u64,
    pub(crate) stored: Timestamp,
    pub(crate) due: Option<Timestamp>,
    pub(crate) readers: Vec<Lane>,
}

/// The whole of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Journey {
    /// What relative times count from: the request's arrival, or else the first time that it was stored.
    pub(crate) origin: Timestamp,
    /// The present moment.
    pub(crate) now: Timestamp,
    pub(crate) requests: Vec<RequestView>,
    pub(crate) stops: Vec<Stop>,
}

impl Journey {
    /// Tells it. `readers` are those of the streams that it was seen in.
    pub(crate) fn tell(
        sightings: &[Sighting],
        readers: &[ReaderStatus],
        requests: Vec<RequestView>,
        now: Timestamp,
    ) -> Self {
        let stored = sightings.iter().map(|sighting| sighting.entry.at);
        let arrived = requests.iter().map(|request| request.at);
        let origin = stored.chain(arrived).min().unwrap_or(now);
        let mark = |stream: &str, reader: &str| {
            readers.iter().find(|status| status.stream == stream && status.reader == reader)
        };
        let stop = |sighting: &Sighting| Stop {
            stream: sighting.stream.clone(),
            position: sighting.entry.position,
            stored: sighting.entry.at,
            due: sighting.entry.due,
            readers: sighting
                .readers
                .iter()
                .map(|(reader, claim)| Lane {
                    reader: reader.clone(),
                    claim: claim.clone(),
                    steps: match claim {
                        Some(claim) => steps(claim, now),
                        None => vec![unclaimed(&sighting.entry, mark(&sighting.stream, reader))],
                    },
                })
                .collect(),
        };
        Self { origin, now, requests, stops: sightings.iter().map(stop).collect() }
    }

    /// Where the drawing ends: at the last thing that is known, or at the present moment while something is open.
    pub(crate) fn end(&self) -> Timestamp {
        let lanes = || self.stops.iter().flat_map(|stop| &stop.readers);
        let is_open = lanes().any(|lane| lane.claim.as_ref().is_none_or(|claim| claim.state.is_open()));
        let requests = self.requests.iter().map(|request| request.at.after(request.took.unwrap_or_default()));
        let ends = lanes().filter_map(|lane| lane.claim.as_ref().and_then(|claim| claim.ended));
        let stored = self.stops.iter().map(|stop| stop.stored);
        let last = requests.chain(ends).chain(stored).max().unwrap_or(self.origin);
        if is_open { last.max(self.now) } else { last }
    }
}

/// A message of the journal, or what is left of it when its attributes do not read.
pub(crate) fn message(entry: &Entry) -> Message {
    let record = entry.record.clone();
    Message::try_from(record.clone())
        .unwrap_or_else(|_| Message::new(record.id, "", record.kind).with_data(Some(""), record.data))
}

fn unclaimed(entry: &Entry, reader: Option<&ReaderStatus>) -> Step {
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
fn steps(claim: &ClaimStatus, now: Timestamp) -> Vec<Step> {
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
mod tests {
    use super::*;
    use What::*;
    use dozen_store::Failure;

    const NOW: Timestamp = Timestamp(1_000);

    fn failure(error: &&str) -> Failure {
        Failure { claimed: Some(Timestamp(3)), at: Timestamp(4), error: (*error).to_owned() }
    }

    fn check(state: ClaimState, attempts: u32, errors: &[&str], expected: &[What]) -> Vec<Step> {
        let claim = ClaimStatus {
            position: 1,
            state,
            attempts,
            due: Some(Timestamp(2_000)),
            claimed: Some(Timestamp(10)),
            ended: Some(Timestamp(20)),
            key: Some("k".into()),
            errors: errors.iter().map(failure).collect(),
            edited: false,
        };
        let steps = steps(&claim, NOW);
        assert_eq!(steps.iter().map(|step| step.what).collect::<Vec<_>>(), expected, "{steps:?}");
        steps
    }

    #[test]
    fn each_state_tells_its_story() {
        check(ClaimState::Leased, 1, &[], &[HandedOut, InHand]);
        check(ClaimState::Done, 1, &[], &[HandedOut, Acknowledged]);
        let retried = check(ClaimState::Done, 2, &["no"], &[HandedOut, Failed, HandedOut, Acknowledged]);
        assert_eq!(
            (retried[0].at, retried[2].at, retried[3].at),
            (Some(Timestamp(3)), Some(Timestamp(10)), Some(Timestamp(20)))
        );
        assert_eq!(retried[2].title, "retried: handed out again, attempt 2");
        let waiting = check(ClaimState::Waiting, 1, &["no"], &[HandedOut, Failed, Due]);
        assert_eq!((waiting[0].at, waiting[2].at), (Some(Timestamp(3)), Some(Timestamp(2_000))));
        check(ClaimState::Waiting, 0, &[], &[Due]);
        check(ClaimState::Held, 0, &[], &[Held]);
        check(ClaimState::Parked, 2, &["a", "b"], &[HandedOut, Failed, HandedOut, Parked]);
        check(ClaimState::Dropped, 1, &["unwanted"], &[HandedOut, Dropped]);
    }

    #[test]
    fn a_redriven_message_counts_anew() {
        check(
            ClaimState::Done,
            1,
            &["a", "b"],
            &[HandedOut, Failed, HandedOut, Parked, Redriven, HandedOut, Acknowledged],
        );
        check(ClaimState::Waiting, 0, &["a"], &[HandedOut, Parked, Redriven, Due]);
        check(ClaimState::Dropped, 0, &["a"], &[HandedOut, Parked, Dropped]);
    }

    #[test]
    fn a_full_history_says_what_is_missing() {
        let errors = ["no"; Settle::ERRORS_MAX];
        let steps = {
            let claim = ClaimStatus {
                position: 1,
                state: ClaimState::Parked,
                attempts: 20,
                due: None,
                claimed: None,
                ended: None,
                key: None,
                errors: errors.iter().map(failure).collect(),
                edited: false,
            };
            steps(&claim, NOW)
        };
        assert!(steps.iter().any(|step| step.title == "4 more attempts failed"), "{steps:?}");
        assert!(steps.iter().any(|step| step.title.ends_with("attempt 20")), "{steps:?}");
    }
}
