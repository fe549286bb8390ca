//! One feature, as a gateway knows it: its options, and what is known of it.
//!
//! ```text
//!  options ── of the file; another feature for each change of it
//!  kept ───── what outlives that:  live    where it stands, and what was counted there       an epoch long
//!                                  flight  whom the sides keep waiting                       an epoch long
//!                                  pace, noise, usage, differences                           as long as the process
//! ```

mod check;
mod live;
mod seen;

use std::sync::Arc;

use dozen_core::Timestamp;

use crate::compare::Comparator;
use crate::gate::Judgement;
use crate::noise::{Noise, Noisy};
use crate::stage::{Bounds, State};
use crate::usage::Used;
use crate::{Error, FeatureOptions, Side, Stage, cohort};

use check::check;
pub(crate) use check::due_moment;
use live::{Kept, Live};
pub use seen::{Call, Sampled};

/// One capability that moves.
pub struct Feature {
    name: Arc<str>,
    options: FeatureOptions,
    bounds: Bounds,
    comparator: Comparator,
    kept: Arc<Kept>,
}

impl Feature {
    /// Checks the options; the feature begins at its first stage until the store says otherwise.
    pub fn new(name: &str, options: FeatureOptions, now: Timestamp) -> Result<Self, Error> {
        check(name, &options)?;
        let gate = &options.advance;
        let bounds = Bounds::new(name, &options.stages, options.on_breach, gate.automatic, gate.hold)?;
        let first = bounds.ladder.first().copied().unwrap_or(Stage::Off);
        let comparator = Comparator::new(name, &options.compare)?;
        let kept = Arc::new(Kept::begin(Live::begin(State::first(first, now), 0)));
        Ok(Self { name: name.into(), options, bounds, comparator, kept })
    }

    /// The same feature under other options: what is known of it stays, and so do its translators unless others are named.
    pub(crate) fn with_options(&self, options: FeatureOptions, now: Timestamp) -> Result<Self, Error> {
        let fresh = Self::new(&self.name, options, now)?;
        let mut comparator = fresh.comparator.clone();
        if self.options.compare.translators == fresh.options.compare.translators {
            comparator = comparator.translated_as(&self.comparator);
        }
        Ok(Self { kept: self.kept.clone(), comparator, ..fresh })
    }

    /// Compares in the domain's model.
    #[must_use]
    pub fn in_domain(
        mut self,
        old: Arc<dyn crate::compare::Translator>,
        new: Arc<dyn crate::compare::Translator>,
    ) -> Self {
        self.comparator = self.comparator.in_domain(old, new);
        self
    }

    /// Whether it is the same move as `other`, under these options or others: not one of that name that was taken out of the
    /// file and put into it again.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kept, &other.kept)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file says.
    pub fn options(&self) -> &FeatureOptions {
        &self.options
    }

    /// Its service on a side.
    pub fn service(&self, side: Side) -> &str {
        match side {
            Side::Old => &self.options.old,
            Side::New => &self.options.new,
        }
    }

    /// Which side a `dozen-feature` header of a client chooses.
    pub fn forced(&self, header: &str) -> Option<Side> {
        cohort::forced(header, &self.name, self.options.force_key.as_deref())
    }

    /// The places where the old system differs from itself, as all gateways have learnt; the noisiest first.
    pub fn noise(&self) -> Vec<Noisy> {
        self.kept.noise.places()
    }

    /// From how many reads that the old system was asked twice this is known.
    pub fn replays(&self) -> u64 {
        self.kept.noise.replays()
    }

    pub(crate) fn noise_of(&self) -> &Noise {
        &self.kept.noise
    }

    /// What the gate said last.
    pub fn judgement(&self) -> Arc<Judgement> {
        self.kept.judgement.load_full()
    }

    pub(crate) fn judged(&self, judgement: Judgement) {
        self.kept.judgement.store(Arc::new(judgement));
    }

    /// What this gateway has served of it.
    pub fn used(&self) -> Used {
        self.kept.usage.read()
    }

    /// Compares its answers.
    pub fn comparator(&self) -> &Comparator {
        &self.comparator
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }
}

impl std::fmt::Debug for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feature").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
