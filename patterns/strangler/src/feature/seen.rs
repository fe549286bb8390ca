//! What is seen of a feature's requests: those of its users, pairs of a request and its copy, comparisons.
//!
//! It counts for the epoch that decided it, and for no other.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Feature;
use super::live::Kept;
use crate::compare::Difference;
use crate::decide::Decision;
use crate::flight::Waiting;
use crate::noise::Counted;
use crate::stage::{Event, State, step};
use crate::{Side, Stage};

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

/// A request on its way to the side that serves it, and back.
///
/// [`Call::waits`] where nothing more is to come from its client, [`Call::began`] when the head of its answer is there, and
/// then one of [`Call::ended`] and [`Call::cut`]. A side that keeps somebody waiting for too long has failed them, though
/// the request has not ended; and has failed them once. Dropped without a word, it counts for nothing.
pub struct Call {
    kept: Arc<Kept>,
    decision: Decision,
    since: Instant,
    waiting: Option<Waiting>,
    /// Whether it waits for the head of an answer, and nothing else.
    is_timed: bool,
    /// It was counted as one that failed, while it waited.
    is_given_up: bool,
    /// How long the head of the answer took.
    began: Option<Duration>,
}

impl Call {
    /// All of the request is there: whoever is asked waits for nothing from the client.
    pub fn waits(&mut self) {
        let live = self.kept.live.load();
        self.since = Instant::now();
        self.is_timed = true;
        if let Some(side) = self.decision.side().filter(|side| counts(&self.decision, *side))
            && live.state.epoch == self.decision.epoch
        {
            self.waiting = Some(live.flight.enter(side));
        }
    }

    /// The head of the answer is there. This is how long it took, for all that compares the two sides: the rest may wait for a
    /// client that reads slowly, or have no end.
    pub fn began(&mut self, status: u16) {
        let after = self.since.elapsed();
        self.waits_no_more();
        if std::mem::take(&mut self.is_timed) && !failed(Some(status)) {
            self.kept.pace.began(after);
        }
        self.began = Some(after);
    }

    /// The side has answered with this status, or given no answer. `caller` is whoever asked, and is kept only where the old
    /// system should not have been asked any more.
    pub fn ended(mut self, status: Option<u16>, took: Duration, caller: Option<&str>, now: Timestamp) {
        self.waits_no_more();
        let (kept, decision) = (&self.kept, &self.decision);
        let Some(side) = decision.side() else { return self.cut(caller, now) };
        kept.usage.served(side, decision.stage, caller, now);
        let live = kept.live.load();
        if live.state.epoch != decision.epoch {
            return;
        }
        if counts(decision, side) && !self.is_given_up {
            live.tally.asked(side, failed(status));
        }
        // What one side alone decides on says nothing of who is faster.
        if is_shared(decision) && decision.feed.is_none() {
            live.tally.took(side, self.began.unwrap_or(took));
        }
    }

    /// Its end says nothing of the side that served it: its client went away, say.
    pub fn cut(self, caller: Option<&str>, now: Timestamp) {
        let side = self.decision.side().unwrap_or(Side::Old);
        self.kept.usage.served(side, self.decision.stage, caller, now);
    }

    fn waits_no_more(&mut self) {
        self.is_given_up |= self.waiting.take().is_some_and(Waiting::over);
    }
}

/// Whether both sides serve users. Then these are the sample: both sides see the same mixture of requests.
fn is_shared(decision: &Decision) -> bool {
    matches!(decision.stage, Stage::Part(_))
}

/// Whether it counts how a side treats its users. Whether the new side fails is seen by whom it serves, at any stage: writes
/// too, and with nobody to compare it with.
fn counts(decision: &Decision, side: Side) -> bool {
    is_shared(decision) || side == Side::New
}

fn failed(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 500)
}

impl Feature {
    /// A request sets out as it was decided.
    pub fn begin(&self, decision: &Decision) -> Call {
        Call {
            kept: self.kept.clone(),
            decision: *decision,
            since: Instant::now(),
            waiting: None,
            is_timed: false,
            is_given_up: false,
            began: None,
        }
    }

    /// Gives up those whom a side has kept waiting for too long. Says whether anything was counted against the new side since this
    /// was asked last, where a broken threshold would have consequences.
    pub(crate) fn sweep(&self, now: Instant) -> bool {
        let (live, pace) = (self.present(), &self.kept.pace);
        pace.turn(now, self.options.advance.window);
        for side in [Side::Old, Side::New] {
            let patience = || pace.patience(&self.options.advance);
            (0..live.flight.given_up(side, now, patience)).for_each(|_| live.tally.asked(side, true));
        }
        let against = live.tally.against_new();
        let before = self.kept.against.swap(against, Ordering::Relaxed);
        against > before && self.may_go_back(&live.state)
    }

    /// Whether a broken threshold would change anything.
    fn may_go_back(&self, state: &State) -> bool {
        let broken = step(&self.name, state, &self.bounds, &Event::Failed, ("gate", ""), state.entered);
        broken.is_ok_and(|next| next.is_some())
    }

    /// Notes how one side of a shadowed pair has answered.
    pub(crate) fn paired(&self, decision: &Decision, side: Side, status: Option<u16>, took: Duration) {
        let live = self.present();
        // Where only one side serves users, pairs are what can be compared.
        if live.state.epoch != decision.epoch || is_shared(decision) {
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
        let live = self.present();
        if live.state.epoch == decision.epoch {
            live.tally.compared(counted);
        }
    }

    /// Notes whether a write that was applied on the other side is equal on both; `None` where that cannot be seen.
    pub fn reconciled(&self, equal: Option<bool>) {
        self.present().tally.reconciled(equal);
    }

    /// How many answers were compared at this stage by this gateway, and how many of them differ.
    pub fn compared_so_far(&self) -> (u64, u64) {
        let differing = self.present().counts().differing;
        (differing.trials, differing.hits)
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
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("decision", &self.decision).finish_non_exhaustive()
    }
}
