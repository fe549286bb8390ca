//! What became of a message.

use dozen_core::Timestamp;
use dozen_store::{ClaimState, Failure, Sighting};
use serde::Serialize;

/// Where a message stands in its queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its place in the store's commit order.
    pub position: u64,
    /// When it was sent.
    pub sent: Timestamp,
    /// Where it stands.
    pub step: Step,
    /// How often it was handed out.
    pub attempts: u32,
    /// When it was handed out last.
    pub handed_out: Option<Timestamp>,
    /// When it was finished, or became a dead letter.
    pub ended: Option<Timestamp>,
    /// What went wrong, oldest first.
    pub errors: Vec<Failure>,
}

/// The steps of a message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Not handed out yet.
    Queued,
    /// In a worker's hands.
    Working,
    /// Waiting for another attempt, or for its moment.
    Waiting,
    /// Behind another message of its key.
    Held,
    /// Handled.
    Done,
    /// Given up; a person must look.
    Dead,
    /// Dropped on purpose.
    Dropped,
}

impl Status {
    pub(crate) fn of(sighting: Sighting) -> Self {
        let claim = sighting.readers.into_iter().find_map(|(_, claim)| claim);
        let (position, sent) = (sighting.entry.position, sighting.entry.at);
        match claim {
            None => Self {
                position,
                sent,
                step: Step::Queued,
                attempts: 0,
                handed_out: None,
                ended: None,
                errors: Vec::new(),
            },
            Some(claim) => Self {
                position,
                sent,
                step: match claim.state {
                    ClaimState::Leased => Step::Working,
                    ClaimState::Waiting => Step::Waiting,
                    ClaimState::Held => Step::Held,
                    ClaimState::Parked => Step::Dead,
                    ClaimState::Done => Step::Done,
                    ClaimState::Dropped => Step::Dropped,
                },
                attempts: claim.attempts,
                handed_out: claim.claimed,
                ended: claim.ended,
                errors: claim.errors,
            },
        }
    }
}
