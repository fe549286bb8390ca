//! What an event does to a feature: one pure function, within the bounds of the file.

use std::time::Duration;

use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Hold, Stage, State};
use crate::options::OnBreach;
use crate::{Error, Share};

/// What the file allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The rungs, rising.
    pub ladder: Vec<Stage>,
    /// What a broken threshold does.
    pub on_breach: OnBreach,
    /// Whether proof is enough to go on: the gate's pass, or the old system's silence at the end.
    pub automatic: bool,
    /// How long a stage lasts at least.
    pub least: Duration,
}

impl Bounds {
    /// Checks that `ladder` is one.
    pub fn new(
        feature: &str,
        ladder: &[Stage],
        on_breach: OnBreach,
        automatic: bool,
        least: Duration,
    ) -> Result<Self, Error> {
        let wrong =
            |problem: &str| Error::Ladder { feature: feature.to_owned(), problem: problem.to_owned() };
        if ladder.is_empty() {
            return Err(wrong("are empty; name one at least, such as `shadow`"));
        }
        if ladder.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(wrong(
                "must rise, from `shadow` over `compare` and shares such as `5%` to `complete` and `retired`",
            ));
        }
        Ok(Self { ladder: ladder.to_vec(), on_breach, automatic, least })
    }

    fn above(&self, stage: Stage) -> Option<Stage> {
        self.ladder.iter().copied().find(|rung| *rung > stage)
    }

    fn below(&self, stage: Stage) -> Option<Stage> {
        self.ladder.iter().copied().rfind(|rung| *rung < stage)
    }

    /// The highest rung where nobody is served by the new system.
    fn ground(&self) -> Stage {
        self.ladder.iter().copied().rfind(|rung| *rung <= Stage::Compare).unwrap_or(Stage::Off)
    }

    fn allows(&self, stage: Stage) -> bool {
        stage == Stage::Off || self.ladder.contains(&stage)
    }
}

/// What somebody tells a feature to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Be at this stage.
    To(Stage),
    /// One rung up.
    Forward,
    /// One rung down.
    Back,
    /// The kill switch.
    Kill,
    /// Lifts the kill switch; the feature is held where it was.
    Revive,
    /// Do not go on.
    Freeze,
    /// Neither go on nor back.
    Pin,
    /// Go on by itself again.
    Thaw,
}

/// What happens to a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody tells it to.
    Ordered(Order),
    /// The gate says pass.
    Passed,
    /// The gate says fail.
    Failed,
    /// Nobody has asked the old system for long enough.
    Unused,
    /// The file has changed, and may not allow the stage any more.
    Bounded,
}

/// What an event does to a feature; `None` when it does nothing.
///
/// `who` and `why` are written down with the change. Errors are for orders alone.
pub fn step(
    feature: &str,
    state: &State,
    bounds: &Bounds,
    event: &Event,
    (who, why): (&str, &str),
    now: Timestamp,
) -> Result<Option<State>, Error> {
    let held = state.hold;
    let next = match event {
        Event::Ordered(order) => Some(ordered(feature, state, bounds, *order)?),
        Event::Passed => bounds
            .above(state.stage)
            .filter(|next| *next != Stage::Retired)
            .filter(|_| held.is_none() && bounds.automatic && now.since(state.entered) >= bounds.least)
            .map(|next| (next, None)),
        Event::Failed
            if matches!(held, Some(Hold::Killed | Hold::Pinned)) || state.stage.share() == Share::NONE =>
        {
            None
        }
        Event::Failed => match bounds.on_breach {
            OnBreach::Rollback => Some((bounds.ground(), Some(Hold::Frozen))),
            OnBreach::Freeze => Some((state.stage, Some(Hold::Frozen))),
        },
        Event::Unused => Some((Stage::Retired, None)).filter(|(retired, _)| {
            state.stage == Stage::Complete && held.is_none() && bounds.automatic && bounds.allows(*retired)
        }),
        Event::Bounded if bounds.allows(state.stage) => None,
        Event::Bounded => Some((bounds.below(state.stage).unwrap_or(Stage::Off), held)),
    };
    let Some((stage, hold)) = next.filter(|next| *next != (state.stage, held)) else { return Ok(None) };
    let mut changed = State { stage, hold, who: who.to_owned(), why: why.to_owned(), ..state.clone() };
    if changed.effective() != state.effective() {
        changed.epoch += 1;
        changed.entered = now;
    }
    Ok(Some(changed))
}

fn ordered(
    feature: &str,
    state: &State,
    bounds: &Bounds,
    order: Order,
) -> Result<(Stage, Option<Hold>), Error> {
    let stage = state.stage;
    let feature = || feature.to_owned();
    if state.hold == Some(Hold::Killed) && !matches!(order, Order::Kill | Order::Revive) {
        return Err(Error::Killed { feature: feature() });
    }
    let end = |direction| Error::AtTheEnd { feature: feature(), stage, direction };
    Ok(match order {
        Order::To(wanted) if !bounds.allows(wanted) => {
            return Err(Error::NotAllowed {
                feature: feature(),
                stage: wanted,
                allowed: bounds.ladder.clone(),
            });
        }
        // Whoever takes it back does not want to see it go on by itself.
        Order::To(wanted) => (wanted, (wanted < stage).then_some(Hold::Frozen)),
        Order::Forward => (bounds.above(stage).ok_or_else(|| end("after"))?, None),
        Order::Back => {
            let below = bounds.below(stage).or((stage > Stage::Off).then_some(Stage::Off));
            (below.ok_or_else(|| end("before"))?, Some(Hold::Frozen))
        }
        Order::Kill => (stage, Some(Hold::Killed)),
        Order::Revive if state.hold == Some(Hold::Killed) => (stage, Some(Hold::Frozen)),
        Order::Revive => (stage, state.hold),
        Order::Freeze => (stage, Some(Hold::Frozen)),
        Order::Pin => (stage, Some(Hold::Pinned)),
        Order::Thaw => (stage, None),
    })
}
