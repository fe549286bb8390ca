//! A limit that this gateway keeps by itself.

use std::time::Instant;

use super::keyed::Keyed;
use super::{Cell, Decision, Gcra, KeyOf};

/// Counts by key; a limit of a whole route has a number of its own, which no lock guards.
#[derive(Debug)]
pub(crate) struct Local {
    gcra: Gcra,
    epoch: Instant,
    whole: Cell,
    each: Keyed<u64>,
}

impl Local {
    /// Moments count from `epoch`.
    pub(crate) fn new(gcra: Gcra, keys_max: usize, epoch: Instant) -> Self {
        Self { gcra, epoch, whole: Cell::default(), each: Keyed::new(keys_max) }
    }

    pub(crate) fn take(&self, key: &KeyOf<'_>, now: Instant) -> Decision {
        let now = now.saturating_duration_since(self.epoch).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        if *key == KeyOf::Whole {
            return self.whole.take(&self.gcra, now);
        }
        self.each.with(
            key,
            now,
            || 0,
            |tat| {
                let (decision, next) = self.gcra.decide(*tat, now);
                *tat = next;
                decision
            },
        )
    }
}
