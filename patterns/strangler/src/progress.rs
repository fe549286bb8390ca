//! How far everything has come: what a person looks at once a week, and what a flag that nobody removes looks like.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::Timestamp;
use serde::Serialize;

use crate::feature::{Feature, due_moment};
use crate::gate::{Judgement, Verdict};
use crate::sketch::Heavy;
use crate::stage::{Hold, Stage};
use crate::usage::Used;
use crate::{Share, retire};

/// A stage that lasts longer is named as one that nobody looks after.
const STALE_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far one feature has come.
#[derive(Clone, Debug, Serialize)]
pub struct FeatureProgress {
    /// Its name.
    pub name: String,
    /// Who is responsible.
    pub owner: Option<String>,
    /// Where it stands.
    pub stage: Stage,
    /// What that is called.
    pub phase: &'static str,
    /// The share of the keys that the new side serves.
    pub share: Share,
    /// What keeps it from moving.
    pub hold: Option<Hold>,
    /// Since when.
    pub since: Timestamp,
    /// Who changed it last, and why.
    pub who: String,
    /// Why.
    pub why: String,
    /// What the gate says.
    pub verdict: Verdict,
    /// Each of its checks.
    pub judgement: Arc<Judgement>,
    /// What all gateways have served.
    pub used: Used,
    /// Why somebody should look at it; none where all is well.
    pub stale: Vec<String>,
    /// What is left to do until the old system can go, in order.
    pub left: Vec<&'static str>,
}

/// How far everything has come.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Each feature, by name.
    pub features: Vec<FeatureProgress>,
    /// The part of all traffic that the new systems serve at these stages: features weighted by their requests, and what no
    /// feature takes counted as not moved. `None` before there is any traffic.
    pub moved: Option<f64>,
    /// What no feature takes, heaviest first.
    pub unmapped: Vec<Heavy>,
}

pub(crate) fn report(
    features: &[Arc<Feature>],
    used: &BTreeMap<String, Used>,
    unmapped: Vec<Heavy>,
    now: Timestamp,
) -> Progress {
    let of =
        |feature: &Arc<Feature>| one(feature, used.get(feature.name()).cloned().unwrap_or_default(), now);
    let features: Vec<FeatureProgress> = features.iter().map(of).collect();
    let outside: u64 = unmapped.iter().map(|heavy| heavy.count).sum();
    let volume = features.iter().map(|feature| feature.used.volume()).sum::<u64>() + outside;
    let moved: f64 =
        features.iter().map(|feature| feature.used.volume() as f64 * feature.share.fraction()).sum();
    Progress { features, moved: (volume > 0).then(|| moved / volume as f64), unmapped }
}

fn one(feature: &Feature, used: Used, now: Timestamp) -> FeatureProgress {
    let (state, options, judgement) = (feature.state(), feature.options(), feature.judgement());
    let stage = state.effective();
    let mut stale = Vec::new();
    if let Some(due) = &options.due
        && state.stage != Stage::Retired
        && due_moment(due).is_some_and(|due| due < now)
    {
        stale.push(format!("it was due on {due}"));
    }
    let lasts = now.since(state.entered);
    if lasts > STALE_AFTER && state.stage != Stage::Retired {
        stale.push(format!("it has been at `{}` for {} days", state.stage, lasts.as_secs() / 86_400));
    }
    if state.stage == Stage::Retired {
        stale.push("it is retired and still in the file".to_owned());
    }
    // Where proof is not enough to go on by itself, somebody must hear of it.
    if !options.advance.automatic
        && let Some(after) = options.retire.after
        && let Some(proof) = retire::unused(&state, &used, after, now)
    {
        stale.push(format!("it may be retired: {proof}"));
    }
    if options.owner.is_none() {
        stale.push("it has no owner".to_owned());
    }
    let left = [
        (stage < Stage::Compare, "compare the answers"),
        (stage.share() < Share::ALL, "let the new side serve everybody"),
        (stage < Stage::Retired && used.last_caller().is_some(), "move the last callers of the old side"),
        (stage < Stage::Retired, "retire the old side"),
        (true, "take the lines out of the file"),
    ];
    FeatureProgress {
        name: feature.name().to_owned(),
        owner: options.owner.clone(),
        stage: state.stage,
        phase: stage.phase(),
        share: stage.share(),
        hold: state.hold,
        since: state.entered,
        who: state.who,
        why: state.why,
        verdict: judgement.verdict,
        judgement,
        used,
        stale,
        left: left.into_iter().filter(|(open, _)| *open).map(|(_, what)| what).collect(),
    }
}
