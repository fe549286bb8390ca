//! What holds at the moment, and how it becomes something else.
//!
//! Whoever reads it gets one snapshot and asks nobody. Who changes it does so alone, and only where what they have read from
//! the store is not older than what is known already.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use dozen_core::Timestamp;

use super::{Feature, Sampled};
use crate::flight::Flight;
use crate::gate::{Counts, Judgement};
use crate::noise::Noise;
use crate::pace::Pace;
use crate::stage::State;
use crate::tally::Tally;
use crate::usage::Usage;

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
    /// Whom the sides keep waiting, of this epoch.
    pub(super) flight: Arc<Flight>,
}

impl Live {
    pub(super) fn begin(state: State, adopted: u64) -> Self {
        let (tally, closed, flight) = <(Arc<Tally>, Arc<Counts>, Arc<Flight>)>::default();
        Self { state, adopted, window: 0, tally, closed, flight }
    }

    fn same(&self) -> Self {
        let Self { adopted, window, .. } = *self;
        let (state, flight) = (self.state.clone(), self.flight.clone());
        Self { state, adopted, window, tally: self.tally.clone(), closed: self.closed.clone(), flight }
    }

    /// All that was counted in this epoch, here.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = (*self.closed).clone();
        counts.add(&self.tally.read());
        counts
    }
}

/// What outlives a change of the file: both the feature as it was and the feature as it is now have it.
pub(super) struct Kept {
    pub(super) live: ArcSwap<Live>,
    /// Who changes `live` does so alone; who reads it asks nobody.
    changing: Mutex<()>,
    pub(super) noise: Noise,
    pub(super) pace: Pace,
    pub(super) usage: Usage,
    pub(super) sampled: Mutex<VecDeque<Sampled>>,
    pub(super) judgement: ArcSwap<Judgement>,
    /// What the last sweep found counted against the new side.
    pub(super) against: AtomicU64,
}

impl Kept {
    pub(super) fn begin(live: Live) -> Self {
        Self {
            live: ArcSwap::from_pointee(live),
            changing: Mutex::default(),
            noise: Noise::default(),
            pace: Pace::default(),
            usage: Usage::default(),
            sampled: Mutex::default(),
            judgement: ArcSwap::default(),
            against: AtomicU64::new(0),
        }
    }

    /// Changes what holds at the moment, if `next` has something else to say.
    fn change(&self, next: impl FnOnce(&Live) -> Option<Live>) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = next(&self.live.load()) {
            self.live.store(Arc::new(next));
        }
    }
}

impl Feature {
    /// Where it stands, as this gateway knows.
    pub fn state(&self) -> State {
        self.kept.live.load().state.clone()
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
        self.kept.change(|live| {
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
        self.kept.change(|live| {
            let mut closed = (*live.closed).clone();
            closed.add(counts);
            (live.state.epoch == epoch).then(|| Live { closed: Arc::new(closed), ..live.same() })
        });
    }

    /// In which window of its stage a moment is.
    pub(crate) fn window_at(&self, now: Timestamp) -> u64 {
        self.window_of(&self.present(), now)
    }

    fn window_of(&self, live: &Live, now: Timestamp) -> u64 {
        let length = self.options.advance.window.as_micros().max(1);
        (now.since(live.state.entered).as_micros() / length) as u64
    }

    /// Begins the window of this moment, where it is another one: also an earlier one, of a clock that was set back.
    pub(crate) fn turn(&self, now: Timestamp) {
        self.kept.change(|live| {
            let window = self.window_of(live, now);
            if window == live.window {
                return None;
            }
            let (tally, closed) = (Arc::default(), Arc::new(live.counts()));
            Some(Live { window, tally, closed, ..live.same() })
        });
    }
}
