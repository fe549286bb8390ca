//! What is shown of features.

use std::time::Duration;

use dozen_strangler::{FeatureProgress, Feed, Registry};
use serde_json::json;

use super::super::look::{Look, ago, table};
use super::named;
use super::order::held;
use crate::Error;

/// A write that has no outcome for so long is shown.
const UNSETTLED_AFTER: Duration = Duration::from_secs(60);
/// Places that are shown, the noisiest first.
const NOISE_MAX: usize = 10;
/// Paths that no feature takes are shown up to here.
const UNMAPPED_MAX: usize = 20;

pub(super) fn list(look: &Look, registry: &Registry, as_json: bool) -> String {
    let (progress, now) = (registry.progress(), look.now());
    if as_json {
        return format!("{:#}\n", json!(progress));
    }
    let row = |feature: &FeatureProgress| {
        vec![
            feature.name.clone(),
            feature.stage.to_string(),
            feature.share.to_string(),
            feature.hold.map(|hold| format!("{hold:?}").to_lowercase()).unwrap_or_default(),
            feature.verdict.to_string(),
            feature.used.volume().to_string(),
            ago(feature.since, now),
            feature.owner.clone().unwrap_or_default(),
            feature.stale.join("; "),
        ]
    };
    let rows: Vec<Vec<String>> = progress.features.iter().map(row).collect();
    let mut text =
        table(&["FEATURE", "STAGE", "SHARE", "HELD", "GATE", "REQUESTS", "SINCE", "OWNER", "STALE"], &rows);
    if let Some(moved) = progress.moved {
        text.push_str(&format!("\n{:.1}% of all traffic has moved\n", moved * 100.0));
    }
    if !progress.unmapped.is_empty() {
        let unmapped = progress.unmapped.iter().take(UNMAPPED_MAX);
        let rows: Vec<Vec<String>> =
            unmapped.map(|heavy| vec![heavy.count.to_string(), heavy.name.clone()]).collect();
        text.push_str(&format!("\n{}", table(&["REQUESTS", "NO FEATURE TAKES"], &rows)));
    }
    text
}

pub(super) async fn one(
    look: &Look,
    registry: &Registry,
    name: &str,
    as_json: bool,
) -> Result<String, Error> {
    let feature = named(registry, name)?;
    let unsettled = Feed::new(&look.store, name).unsettled(UNSETTLED_AFTER).await;
    let unsettled = unsettled.map_err(Error::pattern(format!("read the writes of feature `{name}`")))?;
    let found = registry.progress().features.into_iter().find(|progress| progress.name == name);
    let Some(progress) = found else { return Err(Error::Usage(format!("there is no feature `{name}`"))) };
    if as_json {
        let ids: Vec<&str> = unsettled.iter().map(|write| write.id.as_str()).collect();
        let noise = json!({ "replays": feature.replays(), "places": feature.noise() });
        return Ok(format!("{:#}\n", json!({ "feature": progress, "unsettled": ids, "noise": noise })));
    }
    let (options, state, now) = (feature.options(), feature.state(), look.now());
    let mut text = format!("{name}: from {} to {}\n", options.old, options.new);
    let mut line = |what: &str, says: &str| text.push_str(&format!("  {what:10} {says}\n"));
    line("stage", &format!("{} ({}){}", state.stage, progress.phase, held(&state)));
    let ladder: Vec<String> = options.stages.iter().map(ToString::to_string).collect();
    line("ladder", &ladder.join(" ─ "));
    line("since", &format!("{}, by {}: {}", ago(state.entered, now), state.who, state.why));
    line("gate", &progress.verdict.to_string());
    for check in &progress.judgement.checks {
        line("", &format!("{} {}: {}", check.verdict, check.name, check.says));
    }
    line("served", &format!("{} by the old side, {} by the new", progress.used.old, progress.used.new));
    if let Some(caller) = progress.used.last_caller() {
        line("last", &format!("{} asked the old side {} ago", caller.name, ago(caller.last, now)));
    }
    let (replays, noise) = (feature.replays(), feature.noise());
    if replays > 0 {
        let says = match noise.len() {
            0 => format!("the old side has answered alike in all of {replays} reads that it was asked twice"),
            places => format!(
                "{places} places in which the old side differs from itself, by {replays} reads asked twice"
            ),
        };
        line("noise", &says);
        for noisy in noise.iter().take(NOISE_MAX) {
            let place = crate::up::printable(noisy.place.as_bytes());
            line("", &format!("{place} differs in {} of {}", noisy.noise.hits, noisy.noise.trials));
        }
    }
    if !unsettled.is_empty() {
        line("unsettled", &format!("{} writes of which nobody knows whether they happened", unsettled.len()));
        for write in unsettled.iter().take(5) {
            line("", &format!("{} {} {}", write.id, write.method, write.target));
        }
    }
    progress.stale.iter().for_each(|stale| line("stale", stale));
    progress.left.iter().for_each(|left| line("left", left));
    Ok(text)
}

pub(super) async fn journal(
    registry: &Registry,
    name: &str,
    number: usize,
    as_json: bool,
) -> Result<String, Error> {
    named(registry, name)?;
    let history = registry.history(name, number).await;
    let history = history.map_err(Error::pattern(format!("read the journal of feature `{name}`")))?;
    if as_json {
        return Ok(format!("{:#}\n", json!(history)));
    }
    let row = |change: &dozen_strangler::Change| {
        vec![
            change.at.to_string(),
            change.from.map(|from| from.to_string()).unwrap_or_default(),
            change.to.to_string(),
            change.hold.map(|hold| format!("{hold:?}").to_lowercase()).unwrap_or_default(),
            change.who.clone(),
            change.why.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = history.iter().map(row).collect();
    Ok(table(&["WHEN", "FROM", "TO", "HELD", "WHO", "WHY"], &rows))
}

pub(super) async fn differences(
    look: &Look,
    registry: &Registry,
    name: &str,
    number: usize,
    as_json: bool,
) -> Result<String, Error> {
    named(registry, name)?;
    let samples = registry.samples(name).await;
    let mut samples = samples.map_err(Error::pattern(format!("read the differences of feature `{name}`")))?;
    samples.drain(..samples.len().saturating_sub(number));
    if as_json {
        return Ok(format!("{:#}\n", json!(samples)));
    }
    if samples.is_empty() {
        return Ok("no answers that differ were seen\n".into());
    }
    let mut text = String::new();
    for sampled in &samples {
        text.push_str(&format!("{} ago  {}\n", ago(sampled.at, look.now()), sampled.request));
        for difference in &sampled.differences {
            let kind = format!("{:?}", difference.kind).to_lowercase();
            let line = format!("  {:8} {}: {} → {}", kind, difference.path, difference.old, difference.new);
            text.push_str(&crate::up::printable(line.as_bytes()));
            text.push('\n');
        }
        if sampled.more > 0 {
            text.push_str(&format!("  and {} more\n", sampled.more));
        }
    }
    Ok(text)
}
