//! `/translator`: systems of others with what guards them, the operations that they answer, and how they have changed.

use std::time::Duration;

use dozen_anticorruption::{Cause, DriftReport, ProviderStatus, Speaks, Translator};
use dozen_core::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::done::Done;
use crate::frame::{ago, fresh, nothing};
use crate::view::View;
use crate::{Error, format, live};

/// What the page follows.
const PREFIX: &str = "translator/";

/// Fields that differ, of one translator, that are shown.
const FIELDS_MAX: usize = 100;

/// Providers and translators.
#[derive(Serialize)]
pub(crate) struct Page {
    now: Timestamp,
    providers: Vec<ProviderStatus>,
    translators: Vec<One>,
}

/// One translator.
#[derive(Serialize)]
struct One {
    name: String,
    calls: Vec<Call>,
    examples: usize,
    cached: Option<String>,
    answered: u64,
    problems: Vec<(&'static str, u64)>,
    from_cache: u64,
    passed_on: u64,
    fallbacks: u64,
    mean_micros: Option<u64>,
    drift: Vec<DriftReport>,
}

#[derive(Serialize)]
struct Call {
    name: String,
    providers: Vec<String>,
    optional: bool,
}

impl One {
    fn of(name: &str, translator: &Translator) -> Self {
        let (options, totals) = (translator.options(), translator.totals());
        let calls = options.calls.iter().map(|(name, call)| Call {
            name: name.clone(),
            providers: call.ask.iter().map(|way| way.provider.clone()).collect(),
            optional: call.optional,
        });
        let ended = totals.answered + totals.problems.iter().sum::<u64>();
        let problems = Cause::ALL.into_iter().zip(totals.problems).filter(|(_, count)| *count > 0);
        let mean = totals.took.as_micros().checked_div(u128::from(ended));
        Self {
            name: name.to_owned(),
            calls: calls.collect(),
            examples: translator.examples().len(),
            cached: options.cache.map(|cache| format::span(cache.ttl)),
            answered: totals.answered,
            problems: problems.map(|(cause, count)| (cause.label(), count)).collect(),
            from_cache: totals.cached,
            passed_on: totals.passed_on,
            fallbacks: totals.fallbacks,
            mean_micros: mean.map(|micros| u64::try_from(micros).unwrap_or(u64::MAX)),
            drift: translator.drift(),
        }
    }
}

impl Page {
    fn of(console: &Console) -> Self {
        let all = (console.sources.translators)();
        let translators = all.iter().flat_map(|all| all.iter()).map(|(name, one)| One::of(name, one));
        Self {
            now: console.now(),
            translators: translators.collect(),
            providers: all.as_ref().map(|all| all.providers()).unwrap_or_default(),
        }
    }
}

/// Another number when a translator or a provider stands otherwise.
pub(crate) fn numbers(console: &Console, prefix: &str) -> Vec<(String, u64)> {
    let shown = (prefix == PREFIX).then(|| Page::of(console));
    shown
        .iter()
        .map(|shown| (PREFIX.to_owned(), live::version(&(&shown.translators, &shown.providers))))
        .collect()
}

impl View for Page {
    const PATH: &'static str = "/translator";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        Ok(Self::of(console))
    }

    fn follows(&self) -> String {
        PREFIX.to_owned()
    }

    fn title(&self) -> String {
        "Translators".into()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Translators" }
            (fresh("translators", html! {
                @if self.translators.is_empty() {
                    (nothing("No translator. Add one under `translators:` in the file; docs/anticorruption.md shows how."))
                } @else {
                    section { h2 { "Operations" } (operations(&self.translators)) }
                    section { h2 { "Providers" } (providers(&self.providers)) }
                    section { h2 { "Drift" } (drift(&self.translators, self.now)) }
                }
            }))
        }
    }
}

fn operations(translators: &[One]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Translator" } th { "Asks" } th.n { "Answered" } th { "Problems" } th.n { "Mean" } th.n { "Cached" }
                th.n { "Passed on" } th.n { "Stood in" } th.n { "Examples" }
            } }
            tbody {
                @for one in translators {
                    tr {
                        td.mono { (one.name) }
                        td.small { @for call in &one.calls {
                            span.pair { (call.name) ": " (call.providers.join(", then ")) @if call.optional { " (optional)" } } " "
                        } }
                        td.n { (format::number(one.answered)) }
                        td.small { @for (cause, count) in &one.problems {
                            span class=(tag(cause)) { (cause) " " (format::number(*count)) } " "
                        } }
                        td.n { @if let Some(mean) = one.mean_micros { (format::span(Duration::from_micros(mean))) } }
                        td.n { @if one.cached.is_some() { (format::number(one.from_cache)) } @else { span.muted { "off" } } }
                        td.n { (format::number(one.passed_on)) }
                        td.n { (format::number(one.fallbacks)) }
                        td.n { (one.examples) }
                    }
                }
            }
        } }
    }
}

/// A caller's mistakes and known errors are less than a system that is away.
fn tag(cause: &str) -> &'static str {
    match cause {
        "invalid" | "known" => "tag warn",
        _ => "tag bad",
    }
}

fn providers(providers: &[ProviderStatus]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Provider" } th { "Reached" } th { "Circuit" } th.n { "In flight" } th.n { "Waiting" }
                th.n { "Refused: full" } th.n { "circuit open" } th.n { "away" } th.n { "Time-out" }
            } }
            tbody { @for provider in providers { (provider_row(provider)) } }
        } }
    }
}

fn provider_row(provider: &ProviderStatus) -> Markup {
    let options = &provider.options;
    let reached = match options.speaks {
        Speaks::Http => options.service.as_deref().unwrap_or(&provider.name),
        Speaks::Sql => "database",
        Speaks::Messages => "queue",
    };
    let circuit = match provider.now.as_ref().map(|now| now.circuit) {
        None => html! { span.muted { "not asked yet" } },
        Some(circuit) => {
            let (class, word) = self::circuit(circuit);
            html! { span class=(class) { (word) } }
        }
    };
    let of = |count: fn(&dozen_dataplane::ServiceView) -> u64| provider.now.as_ref().map_or(0, count);
    html! {
        tr {
            td.mono { (provider.name) }
            td { @if options.mock { span.tag.warn { "mocked by its examples" } } @else { (reached) } }
            td { (circuit) }
            td.n { (of(|now| now.in_flight.into())) span.muted { " of " (options.in_flight_max) } }
            td.n { (of(|now| now.pending.into())) span.muted { " of " (options.pending_max) } }
            td.n { (format::number(of(|now| now.totals.full))) }
            td.n { (format::number(of(|now| now.totals.open))) }
            td.n { (format::number(of(|now| now.totals.unavailable))) }
            td.n { (format::span(options.timeout)) }
        }
    }
}

fn circuit(circuit: dozen_dataplane::resilience::Circuit) -> (&'static str, &'static str) {
    use dozen_dataplane::resilience::Circuit;
    match circuit {
        Circuit::Closed => ("tag good", "closed"),
        Circuit::HalfOpen => ("tag warn", "being tried"),
        Circuit::Open => ("tag bad", "open"),
    }
}

fn drift(translators: &[One], now: Timestamp) -> Markup {
    let reports = || translators.iter().flat_map(|one| &one.drift);
    let compared: u64 = reports().map(|report| report.compared).sum();
    let fields: Vec<_> =
        reports().flat_map(|report| report.fields.iter().map(move |field| (report, field))).collect();
    html! {
        p.muted { (format::count(compared, "answer", "answers")) " compared with the examples and schemas" }
        @for report in reports().filter(|report| !report.not_compared.is_empty()) {
            p.muted { (report.place) ": not compared at " span.mono { (report.not_compared.join(", ")) } }
        }
        @if fields.is_empty() {
            (nothing("No answer differs from what is known of it."))
        } @else {
            div.scroll { table {
                thead { tr { th { "Field" } th { "How it differs" } th { "Where" } th.n { "Times" } th { "First" } th { "Last" } } }
                tbody { @for (report, field) in fields.iter().take(FIELDS_MAX) {
                    tr {
                        td.mono { (field.path) }
                        td { (field.change) }
                        td { (report.place) }
                        td.n { (format::number(field.count)) }
                        td { (ago(field.first, now)) }
                        td { (ago(field.last, now)) }
                    }
                } }
            } }
        }
    }
}
