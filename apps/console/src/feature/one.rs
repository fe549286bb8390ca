//! `/feature/{name}`: where one feature stands, and why.

use dozen_core::Timestamp;
use dozen_strangler::{Change, FeatureProgress, Noisy, Sampled, Share, Stage};
use maud::{Markup, html};
use serde::Serialize;

use super::{PREFIX, hold, key, known, order, unknown, verdict};
use crate::console::Console;
use crate::done::Done;
use crate::frame::{ago, fresh, live, moment, nothing};
use crate::view::View;
use crate::{Error, format};

/// Changes shown.
const CHANGES_MAX: usize = 30;
/// Comparisons shown, the latest first.
const SAMPLES_MAX: usize = 10;
/// Places shown, the noisiest first.
const NOISE_MAX: usize = 20;

/// One feature.
#[derive(Serialize)]
pub(crate) struct One {
    now: Timestamp,
    feature: FeatureProgress,
    old: String,
    new: String,
    ladder: Vec<Stage>,
    compared: u64,
    differing: u64,
    differences: Vec<Sampled>,
    /// Reads that the old side was asked twice.
    replays: u64,
    noise: Vec<Noisy>,
    journal: Vec<Change>,
}

impl View for One {
    const PATH: &'static str = "/feature";

    async fn gather(console: &Console, name: &str) -> Result<Self, Error> {
        let (registry, feature) = known(console, name)?;
        let found = registry.progress().features.into_iter().find(|progress| progress.name == name);
        let progress = found.ok_or_else(|| unknown(name))?;
        let mut journal = registry.history(name, CHANGES_MAX).await?;
        journal.reverse();
        let mut differences = feature.differences();
        differences.reverse();
        differences.truncate(SAMPLES_MAX);
        let options = feature.options();
        let (compared, differing) = feature.compared_so_far();
        Ok(Self {
            now: console.now(),
            feature: progress,
            old: options.old.clone(),
            new: options.new.clone(),
            ladder: options.stages.clone(),
            compared,
            differing,
            differences,
            replays: feature.replays(),
            noise: feature.noise(),
            journal,
        })
    }

    fn title(&self) -> String {
        format!("Feature {}", self.feature.name)
    }

    fn follows(&self) -> String {
        format!("{PREFIX}{}", self.feature.name)
    }

    fn body(&self, console: &Console, done: &Done) -> Markup {
        let one = &self.feature;
        html! {
            p.crumb { a href="/feature" { "Features" } }
            div.head { h1 { (one.name) } }
            (done.notice())
            div.cards {
                div.card { b { (live(&key(&one.name, "compared"), self.compared)) } span { "compared here at this stage" } }
                div.card.bad[self.differing > 0] { b { (live(&key(&one.name, "differing"), self.differing)) } span { "of them differ" } }
                div.card { b { (live(&key(&one.name, "old"), one.used.old)) } span { "served by " (self.old) } }
                div.card { b { (live(&key(&one.name, "new"), one.used.new)) } span { "served by " (self.new) } }
            }
            (fresh("feature", html! {
                (ladder(&self.ladder, one))
                p.muted { "Since " (ago(one.since, self.now)) ", by " (one.who) ": " (one.why) }
                section {
                    h2 { "Gate " (verdict(one.verdict)) }
                    @if one.judgement.checks.is_empty() { (nothing("It has not looked at this stage yet.")) } @else {
                        div.scroll { table {
                            thead { tr { th { "Check" } th { "Verdict" } th { "Why" } } }
                            tbody { @for check in &one.judgement.checks { tr { td { (check.name) } td { (verdict(check.verdict)) } td { (check.says) } } } }
                        } }
                    }
                }
                @if !one.stale.is_empty() { p.notice.still { (one.stale.join("; ")) } }
                p.small { "Left to do: " (one.left.join(", ")) }
                (differences(&self.differences, self.now))
                (noise(self.replays, &self.noise))
                (journal(&self.journal))
            }))
            (order::form(console, &one.name))
        }
    }
}

/// The rungs, with the one that it stands on.
fn ladder(ladder: &[Stage], one: &FeatureProgress) -> Markup {
    html! {
        p.ladder {
            @for rung in ladder {
                @if *rung == one.stage { strong.tag.good aria-current="step" { (rung.to_string()) } } @else { span.tag { (rung.to_string()) } }
                " "
            }
            @if !ladder.contains(&one.stage) { strong.tag.warn aria-current="step" { (one.stage.to_string()) } " " }
            (hold(one.hold))
            @if one.share > Share::NONE { " " (one.share.to_string()) " of the keys are served by the new side" }
        }
    }
}

fn differences(samples: &[Sampled], now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Latest differences" }
            @if samples.is_empty() { (nothing("No answers that differ were seen here.")) } @else {
                div.scroll { table {
                    thead { tr { th { "When" } th { "Request" } th { "Where" } th { "Old" } th { "New" } } }
                    tbody {
                        @for sampled in samples {
                            @for (at, difference) in sampled.differences.iter().enumerate() {
                                tr {
                                    td { @if at == 0 { (ago(sampled.at, now)) } }
                                    td { @if at == 0 { (sampled.request) } }
                                    td { (difference.path) }
                                    td.small { (difference.old) }
                                    td.small { (difference.new) }
                                }
                            }
                            @if sampled.more > 0 { tr { td; td; td.small colspan="3" { "and " (sampled.more) " more" } } }
                        }
                    }
                } }
            }
        }
    }
}

/// Where the old side differs from itself, as all gateways know.
fn noise(replays: u64, places: &[Noisy]) -> Markup {
    html! {
        section {
            h2 { "Noise of the old side" }
            @if places.is_empty() {
                (nothing(&format!("No place in which it differs from itself, in {} reads that it was asked twice.", format::number(replays))))
            } @else {
                div.scroll { table {
                    thead { tr { th { "Where" } th.n { "Old and old differ" } th.n { "of" } th.n { "Old and new differ" } th.n { "of" } } }
                    tbody { @for noisy in places.iter().take(NOISE_MAX) {
                        tr {
                            td { (noisy.place) }
                            @for rate in [noisy.noise, noisy.differing] {
                                td.n { (format::number(rate.hits)) }
                                td.n { (format::number(rate.trials)) }
                            }
                        }
                    } }
                } }
                @if places.len() > NOISE_MAX { p.muted.small { "and " (places.len() - NOISE_MAX) " more places" } }
            }
        }
    }
}

fn journal(changes: &[Change]) -> Markup {
    html! {
        section {
            h2 { "Journal" }
            @if changes.is_empty() { (nothing("Nothing has changed yet.")) } @else {
                div.scroll { table {
                    thead { tr { th { "When" } th { "From" } th { "To" } th { "Who" } th { "Why" } } }
                    tbody { @for change in changes {
                        tr {
                            td { (moment(change.at)) }
                            td { @if let Some(from) = change.from { (from.to_string()) } }
                            td { (change.to.to_string()) " " (hold(change.hold)) }
                            td { (change.who) }
                            td { (change.why) }
                        }
                    } }
                } }
            }
        }
    }
}
