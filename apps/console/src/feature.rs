//! `/feature` and `/feature/{name}`: what moves from an old system to a new one, how far it has come, and why.

mod one;
mod order;

use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_strangler::gate::Verdict;
use dozen_strangler::{Feature, FeatureProgress, Hold, Progress, Registry, Stage};
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::done::Done;
use crate::frame::{ago, fresh, nothing};
use crate::view::View;
use crate::{Error, format};

pub(crate) use one::One;
pub(crate) use order::order;

/// What names the streams of changes.
const PREFIX: &str = "feature/";
/// After "there is no feature".
const HINT: &str = "; a feature stands in the file, under `features`";
/// Paths that no feature takes, the heaviest first.
const UNMAPPED_MAX: usize = 25;

/// The name under which a page and the events know a counter of a feature.
fn key(name: &str, counter: &str) -> String {
    crate::live::key(&format!("{PREFIX}{name}"), "gate", counter)
}

/// What pages of features follow: how many answers were compared, and how many differ.
pub(crate) fn numbers(console: &Console, prefix: &str) -> Vec<(String, u64)> {
    let registry = console.sources.features.as_ref().filter(|_| prefix.starts_with(PREFIX));
    let features = registry.map(|registry| registry.features()).unwrap_or_default();
    let own = features.iter().filter(|one| format!("{PREFIX}{}", one.name()).starts_with(prefix));
    own.flat_map(|feature| {
        let (name, (compared, differing), used) = (feature.name(), feature.compared_so_far(), feature.used());
        let epoch = feature.state().epoch;
        [
            (key(name, "compared"), compared),
            (key(name, "differing"), differing),
            (key(name, "old"), used.old),
            (key(name, "new"), used.new),
            (key(name, "epoch"), epoch),
        ]
    })
    .collect()
}

/// All features.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Features {
    progress: Progress,
    #[serde(skip)]
    now: Timestamp,
}

impl View for Features {
    const PATH: &'static str = "/feature";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        let progress = match &console.sources.features {
            Some(registry) => registry.progress(),
            None => Progress { features: Vec::new(), moved: None, unmapped: Vec::new() },
        };
        Ok(Self { progress, now: console.now() })
    }

    fn title(&self) -> String {
        "Features".into()
    }

    fn follows(&self) -> String {
        PREFIX.to_owned()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        let Progress { features, moved, unmapped } = &self.progress;
        html! {
            h1 { "Features" }
            (fresh("features", html! {
                div.cards {
                    div.card title="features weighted by their requests; what no feature takes counts as not moved" {
                        b { @match moved { Some(moved) => (percent(*moved)), None => "–" } } span { "of all traffic has moved" }
                    }
                    div.card { b { (features.len()) } span { "features" } }
                    div.card { b { (features.iter().filter(|one| one.stage == Stage::Retired).count()) } span { "retired" } }
                }
                @if features.is_empty() {
                    (nothing("No feature. One is declared in the file, under `features`."))
                } @else { (features_table(features, self.now)) }
                section {
                    h2 { "Paths that no feature takes" }
                    @if unmapped.is_empty() { (nothing("None was asked for.")) } @else {
                        div.scroll { table {
                            thead { tr { th { "Path" } th.n { "Requests" } th.n { "Last" } } }
                            tbody { @for heavy in unmapped.iter().take(UNMAPPED_MAX) {
                                tr { td { (heavy.name) } td.n { (format::number(heavy.count)) } td.n { (ago(heavy.last, self.now)) } }
                            } }
                        } }
                    }
                }
            }))
        }
    }
}

fn features_table(features: &[FeatureProgress], now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Feature" } th { "Stage" } th.n { "New side" } th { "Gate" } th.n { "Requests" } th.n { "Since" } th { "Owner" } th { "Look at it" }
            } }
            tbody {
                @for one in features {
                    tr {
                        td { a href=(path(&one.name)) { strong { (one.name) } } }
                        td { (one.stage.to_string()) " " (hold(one.hold)) }
                        td.n { (one.share.to_string()) }
                        td { (verdict(one.verdict)) }
                        td.n { (format::number(one.used.volume())) }
                        td.n { (ago(one.since, now)) }
                        td { (one.owner.as_deref().unwrap_or("")) }
                        td.small { (one.stale.join("; ")) }
                    }
                }
            }
        } }
    }
}

fn known<'c>(console: &'c Console, name: &str) -> Result<(&'c Registry, Arc<Feature>), Error> {
    let registry = console.sources.features.as_deref().ok_or_else(|| unknown(name))?;
    Ok((registry, registry.feature(name).ok_or_else(|| unknown(name))?))
}

fn unknown(name: &str) -> Error {
    Error::Unknown { kind: "feature", name: name.to_owned(), hint: HINT }
}

fn path(name: &str) -> String {
    format!("/feature/{}", format::encode(name))
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn verdict(verdict: Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Pass => span.tag.good { "pass" },
            Verdict::Unknown => span.tag { "unknown" },
            Verdict::Fail => span.tag.bad { "fail" },
        }
    }
}

fn hold(hold: Option<Hold>) -> Markup {
    html! {
        @match hold {
            None => {},
            Some(Hold::Frozen) => span.tag.warn { "frozen" },
            Some(Hold::Pinned) => span.tag.warn { "pinned" },
            Some(Hold::Killed) => span.tag.bad { "switched off" },
        }
    }
}
