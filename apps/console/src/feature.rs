//! `/feature` and `/feature/{name}`: what moves from an old system to a new one, how far it has come, and why.

use axum::extract::{Path, State};
use axum::response::Response;
use dozen_core::Timestamp;
use dozen_strangler::gate::Verdict;
use dozen_strangler::{
    Change, Feature, FeatureProgress, Hold, Order, Progress, Registry, Sampled, Share, Stage,
};
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::done::{Done, What};
use crate::form::Filled;
use crate::frame::{self, ago, fresh, live, moment, nothing};
use crate::view::View;
use crate::{Error, format};

/// What names the streams of changes.
const PREFIX: &str = "feature/";
/// After "there is no feature".
const HINT: &str = "; a feature stands in the file, under `features`";
/// Changes shown.
const CHANGES_MAX: usize = 30;
/// Comparisons shown, the latest first.
const SAMPLES_MAX: usize = 10;
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
                (journal(&self.journal))
            }))
            (orders(console, &one.name))
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

fn orders(console: &Console, name: &str) -> Markup {
    html! {
        section {
            h2 { "Orders" }
            form.edit action={ (path(name)) "/order" } method="post" {
                input type="hidden" name="token" value=(console.token);
                label { "Who asks for it " input type="text" name="by" required; }
                label { "Why " input type="text" name="why" required; }
                p.muted.small { "Both stand in the journal. Back and freeze hold it where it is then; thaw lets it go on by itself." }
                div.actions {
                    @for (act, label) in [("forward", "Forward"), ("back", "Back"), ("freeze", "Freeze"), ("thaw", "Thaw"), ("kill", "Kill"), ("revive", "Lift the kill switch")] {
                        button type="submit" name="act" value=(act) { (label) }
                    }
                }
            }
        }
    }
}

/// `POST /feature/{name}/order`
pub(crate) async fn order(State(console): Shared, Path(name): Path<String>, form: Filled) -> Response {
    match ordered(&console, &name, &form).await {
        Ok(()) => What::Order.to(&path(&name), 1),
        Err(error) => frame::failed(&console, &error),
    }
}

async fn ordered(console: &Console, name: &str, form: &Filled) -> Result<(), Error> {
    form.check(console)?;
    let order = match form.get("act") {
        Some("forward") => Order::Forward,
        Some("back") => Order::Back,
        Some("freeze") => Order::Freeze,
        Some("thaw") => Order::Thaw,
        Some("kill") => Order::Kill,
        Some("revive") => Order::Revive,
        _ => return Err(Error::Invalid("the form says no order".into())),
    };
    let wanted = |name: &'static str| {
        form.filled(name).ok_or_else(|| Error::Invalid(format!("the field `{name}` is empty")))
    };
    let (registry, _) = known(console, name)?;
    registry.order(name, order, wanted("by")?, wanted("why")?).await?;
    Ok(())
}

fn known<'c>(console: &'c Console, name: &str) -> Result<(&'c Registry, std::sync::Arc<Feature>), Error> {
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
