//! One feature, as a gateway knows it: where it stands, and what has been seen of it.
//!
//! What holds at the moment is one snapshot. It carries the epoch; what is seen of a request counts for the epoch that decided
//! it, and for no other.

mod check;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compare::{Comparator, Difference};
use crate::decide::Decision;
use crate::gate::{Counts, Judgement};
use crate::noise::{Counted, Noise, Noisy};
use crate::stage::{Bounds, State};
use crate::tally::Tally;
use crate::usage::{Usage, Used};
use crate::{Error, FeatureOptions, Side, Stage, cohort};

use check::check;
pub(crate) use check::due_moment;

/// A comparison that found a difference, as it is kept for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// When.
    pub at: Timestamp,
    /// The request's method and the template that its path was probably made of: ids of people are not kept.
    pub request: String,
    /// What differs.
    pub differences: Vec<Difference>,
    /// How many more.
    pub more: u64,
}

/// Differing comparisons that are kept.
const SAMPLED_MAX: usize = 64;

/// What holds at the moment.
pub(crate) struct Live {
    pub(crate) state: State,
    /// How often this process has taken over another state.
    adopted: u64,
    /// Which window is counted.
    pub(crate) window: u64,
    pub(crate) tally: Arc<Tally>,
    /// What the windows before have counted, of this epoch.
    pub(crate) closed: Arc<Counts>,
}

/// One capability that moves.
pub struct Feature {
    name: Arc<str>,
    options: FeatureOptions,
    bounds: Bounds,
    comparator: Comparator,
    kept: Arc<Kept>,
}

/// What outlives a change of the file: both the feature as it was and the feature as it is now have it.
struct Kept {
    live: ArcSwap<Live>,
    /// Who changes `live` does so alone; who reads it asks nobody.
    changing: Mutex<()>,
    noise: Noise,
    usage: Usage,
    sampled: Mutex<VecDeque<Sampled>>,
    judgement: ArcSwap<Judgement>,
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

    /// Where it stands, as this gateway knows.
    pub fn state(&self) -> State {
        self.kept.live.load().state.clone()
    }

    /// Which side a `dozen-feature` header of a client chooses.
    pub fn forced(&self, header: &str) -> Option<Side> {
        cohort::forced(header, &self.name, self.options.force_key.as_deref())
    }

    /// Notes how the side that served a request has answered; `status` is `None` where it gave no answer. `caller` is whoever
    /// asked, and is kept only where the old system should not have been asked any more.
    pub fn answered(
        &self,
        decision: &Decision,
        status: Option<u16>,
        took: Duration,
        caller: Option<&str>,
        now: Timestamp,
    ) {
        let Some(side) = decision.side() else {
            return self.kept.usage.served(Side::Old, decision.stage, caller, now);
        };
        self.kept.usage.served(side, decision.stage, caller, now);
        let live = self.kept.live.load();
        if live.state.epoch != decision.epoch {
            return;
        }
        // Where both sides serve users, the users are the sample: both see the same mixture of requests. But what one side
        // alone decides on says nothing of who is faster.
        let is_shared = matches!(decision.stage, Stage::Part(_));
        // Whether the new side fails is seen by whom it serves, at any stage: writes too, and with nobody to compare it with.
        if is_shared || side == Side::New {
            live.tally.asked(side, failed(status));
        }
        if is_shared && decision.feed.is_none() {
            live.tally.took(side, took);
        }
    }

    /// Notes a request whose end says nothing of the side that served it: its client went away, say.
    pub fn cut(&self, decision: &Decision, caller: Option<&str>, now: Timestamp) {
        self.kept.usage.served(decision.side().unwrap_or(Side::Old), decision.stage, caller, now);
    }

    /// Notes how one side of a shadowed pair has answered.
    pub(crate) fn paired(&self, decision: &Decision, side: Side, status: Option<u16>, took: Duration) {
        let live = self.kept.live.load();
        // Where only one side serves users, pairs are what can be compared.
        if live.state.epoch != decision.epoch || matches!(decision.stage, Stage::Part(_)) {
            return;
        }
        live.tally.took(side, took);
        // Whom the new side has served was counted when they were answered.
        if (side, decision.side()) != (Side::New, Some(Side::New)) {
            live.tally.asked(side, failed(status));
        }
    }

    /// Notes what a comparison counts for.
    pub(crate) fn compared(&self, decision: &Decision, counted: Counted) {
        let live = self.kept.live.load();
        if live.state.epoch == decision.epoch {
            live.tally.compared(counted);
        }
    }

    /// Notes whether a write that was applied on the other side is equal on both; `None` where that cannot be seen.
    pub fn reconciled(&self, equal: Option<bool>) {
        self.kept.live.load().tally.reconciled(equal);
    }

    /// How many answers were compared at this stage by this gateway, and how many of them differ.
    pub fn compared_so_far(&self) -> (u64, u64) {
        let live = self.kept.live.load();
        let mut counts = (*live.closed).clone();
        counts.add(&live.tally.read());
        (counts.differing.trials, counts.differing.hits)
    }

    pub(crate) fn sampled(&self, sampled: Sampled) {
        let mut kept = self.kept.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == SAMPLED_MAX {
            kept.pop_front();
        }
        kept.push_back(sampled);
    }

    /// The latest comparisons that found a difference, oldest first.
    pub fn differences(&self) -> Vec<Sampled> {
        self.kept.sampled.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The places where the old system differs from itself.
    pub fn noise(&self) -> Vec<Noisy> {
        self.kept.noise.places()
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

    /// What holds at the moment, for those who look at it and let it go.
    pub(crate) fn present(&self) -> Guard<Arc<Live>> {
        self.kept.live.load()
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.kept.live.load_full()
    }

    /// How often another state was taken over: whoever reads a state from the store asks this first, and says it with
    /// [`Feature::adopt`].
    pub(crate) fn adopted(&self) -> u64 {
        self.kept.live.load().adopted
    }

    /// Follows the store. `since` is what [`Feature::adopted`] said before `state` was read or written: where somebody else was
    /// faster since, it may be the older one, and nothing changes; the next look knows. Versions of rows could not tell, for
    /// they say that a row is another one and not which came later. Says whether requests are treated in another way from now
    /// on.
    pub(crate) fn adopt(&self, state: State, since: u64) -> bool {
        let mut is_other = false;
        self.change(|live| {
            if live.adopted != since || live.state == state {
                return None;
            }
            let adopted = since + 1;
            is_other = live.state.epoch != state.epoch;
            Some(match is_other {
                true => Live::begin(state, adopted),
                false => Live { state, adopted, ..live.same() },
            })
        });
        is_other
    }

    /// Goes on with what was counted in this epoch by a process that is gone.
    pub(crate) fn resume(&self, epoch: u64, counts: &Counts) {
        self.change(|live| {
            let mut closed = (*live.closed).clone();
            closed.add(counts);
            (live.state.epoch == epoch).then(|| Live { closed: Arc::new(closed), ..live.same() })
        });
    }

    /// Begins the window of this moment, where it is another one.
    pub(crate) fn turn(&self, now: Timestamp) {
        let length = self.options.advance.window.as_micros().max(1);
        self.change(|live| {
            let window = (now.since(live.state.entered).as_micros() / length) as u64;
            let mut closed = (*live.closed).clone();
            closed.add(&live.tally.read());
            let (tally, closed) = (Arc::default(), Arc::new(closed));
            (window > live.window).then(|| Live { window, tally, closed, ..live.same() })
        });
    }

    /// Changes what holds at the moment, if `next` has something else to say.
    fn change(&self, next: impl FnOnce(&Live) -> Option<Live>) {
        let _alone = self.kept.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = next(&self.kept.live.load()) {
            self.kept.live.store(Arc::new(next));
        }
    }
}

impl Kept {
    fn begin(live: Live) -> Self {
        Self {
            live: ArcSwap::from_pointee(live),
            changing: Mutex::default(),
            noise: Noise::default(),
            usage: Usage::default(),
            sampled: Mutex::default(),
            judgement: ArcSwap::default(),
        }
    }
}

impl Live {
    fn begin(state: State, adopted: u64) -> Self {
        Self { state, adopted, window: 0, tally: Arc::default(), closed: Arc::default() }
    }

    fn same(&self) -> Self {
        let (tally, closed) = (self.tally.clone(), self.closed.clone());
        Self { state: self.state.clone(), adopted: self.adopted, window: self.window, tally, closed }
    }
}

impl std::fmt::Debug for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feature").field("name", &self.name).finish_non_exhaustive()
    }
}

fn failed(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 500)
}

#[cfg(test)]
mod tests;
