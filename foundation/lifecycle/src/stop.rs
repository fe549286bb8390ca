//! The two stages of stopping.

use tokio_util::sync::CancellationToken;

/// Handed to every service: when to take no more, and when to give up what is left.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled first: take no new work, finish what was started.
    pub soft: CancellationToken,
    /// Cancelled at the deadline: end what is in flight and return.
    pub hard: CancellationToken,
}

impl Stop {
    /// Not stopping yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stop of its own for a part, cancelled together with this one but not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { soft: self.soft.child_token(), hard: self.hard.child_token() }
    }

    /// Whether no new work should be taken.
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }
}
