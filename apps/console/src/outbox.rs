//! `/outbox`: the latest events of all topics in the order of their commits, what relays have before them, and replays.

use std::num::NonZeroU32;

use axum::extract::State;
use axum::response::Response;
use dozen_core::Timestamp;
use dozen_messaging::CircuitState;
use dozen_outbox::{Audit, Destination, LaneStatus, Outbox, Replay};
use dozen_store::Entry;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::done::{Done, What};
use crate::form::{Filled, past};
use crate::frame::{self, ago, fresh, moment, nothing};
use crate::messages::{Shown, messages_section, shown_of};
use crate::topic::PREFIX;
use crate::view::View;
use crate::{Error, format};

/// Events shown.
const EVENTS_MAX: usize = 50;
/// Topics whose latest events are looked at.
const TOPICS_MAX: usize = 200;
/// Entries of the audit shown.
const AUDIT_MAX: usize = 30;
/// Messages that one press of a button publishes again, and how many a second: the page waits for it.
const REPLAY_MAX: u64 = 10_000;
const PER_SECOND: u32 = 2_000;

/// One topic of a relay.
#[derive(Serialize)]
struct Lane {
    relay: String,
    #[serde(flatten)]
    status: LaneStatus,
    /// How old the oldest message is that it has not carried.
    lag_seconds: f64,
}

#[derive(Serialize)]
pub(crate) struct Page {
    now: Timestamp,
    /// When the oldest event was stored that some relay has not carried.
    oldest: Option<Timestamp>,
    relays: Vec<Lane>,
    events: Vec<Shown>,
    audit: Vec<Audit>,
    #[serde(skip)]
    topics: Vec<String>,
}

fn outbox(console: &Console) -> Outbox {
    let sources = &console.sources;
    Outbox::new(&sources.store, "/console", sources.ids.clone()).with_keys(sources.keys.clone())
}

/// The latest events, each with its topic, and the topics that there are.
async fn latest(console: &Console) -> Result<(Vec<(Option<String>, Entry)>, Vec<String>), Error> {
    let (mut events, mut topics) = (Vec::new(), Vec::new());
    for status in console.journal.streams(PREFIX).await?.into_iter().take(TOPICS_MAX) {
        let Some(topic) = status.stream.strip_prefix(PREFIX) else { continue };
        let tail = console.journal.tail(&status.stream.as_str().into(), EVENTS_MAX).await?;
        events.extend(tail.into_iter().map(|entry| (Some(topic.to_owned()), entry)));
        topics.push(topic.to_owned());
    }
    events.sort_by_key(|(_, entry)| entry.position);
    events.drain(..events.len().saturating_sub(EVENTS_MAX));
    Ok((events, topics))
}

impl View for Page {
    const PATH: &'static str = "/outbox";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        let now = console.now();
        let mut relays = Vec::new();
        for (name, relay) in &console.sources.relays {
            let lanes = relay.status().await?.into_iter().map(|status| Lane {
                relay: name.clone(),
                lag_seconds: status.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()),
                status,
            });
            relays.extend(lanes);
        }
        let (events, topics) = latest(console).await?;
        let mut audit = outbox(console).audit(AUDIT_MAX).await?;
        audit.reverse();
        let oldest = relays.iter().filter_map(|lane| lane.status.oldest).min();
        Ok(Self { now, oldest, relays, events: shown_of(events), audit, topics })
    }

    fn title(&self) -> String {
        "Outbox".into()
    }

    fn body(&self, console: &Console, done: &Done) -> Markup {
        let backlog: u64 = self.relays.iter().map(|lane| lane.status.backlog).sum();
        html! {
            h1 { "Outbox" }
            (done.notice())
            (fresh("outbox", html! {
                div.cards {
                    div.card { b { (format::number(backlog)) } span { "events not carried yet" } }
                    div.card { b { @match self.oldest { Some(oldest) => (format::span(self.now.since(oldest))), None => "0" } } span { "age of the oldest of them" } }
                }
                section {
                    h2 { "Relays" }
                    @if self.relays.is_empty() {
                        (nothing("No relay. With the built-in broker an event is published by the commit of its transaction: nothing waits."))
                    } @else { (relays_table(&self.relays, self.now)) }
                }
                (messages_section("Latest events, in the order of their commits", "No event yet.", &self.events, self.now))
                @if !self.audit.is_empty() {
                    section { h2 { "Replays" } (audit_table(&self.audit)) }
                }
            }))
            @if !self.topics.is_empty() { (replay_form(console, &self.topics)) }
        }
    }
}

fn relays_table(relays: &[Lane], now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Relay" } th { "Topic" } th { "To" } th.n { "Backlog" } th.n { "Oldest" }
                th.n { "Carried" } th.n { "Failures" } th.n { "Dead" } th { "Destination" }
            } }
            tbody {
                @for Lane { relay, status, .. } in relays {
                    @let circuit = &status.here.circuit;
                    tr {
                        td { strong { (relay) } }
                        td { a href={ "/topic/" (format::encode(&status.topic)) } { (status.topic) } }
                        td { (status.destination) }
                        td.n { (format::number(status.backlog)) }
                        td.n { @if let Some(oldest) = status.oldest { (ago(oldest, now)) } }
                        td.n { (format::number(status.here.carried_total)) }
                        td.n.bad[status.here.failures_total > 0 && circuit.state != CircuitState::Closed] { (format::number(status.here.failures_total)) }
                        td.n.bad[status.dead_letters > 0] { (format::number(status.dead_letters)) }
                        td {
                            @match circuit.state {
                                CircuitState::Closed => span.tag.good { "takes messages" },
                                _ => {
                                    span.tag.bad { "away" }
                                    @if let Some(since) = circuit.since { " since " (ago(since, now)) }
                                    @if let Some(error) = &circuit.error { p.detail { (error) } }
                                }
                            }
                            @if let Some(error) = &status.here.source_error { p.detail { "the store: " (error) } }
                        }
                    }
                }
            }
        } }
    }
}

fn audit_table(audit: &[Audit]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "When" } th { "By" } th { "Topic" } th { "Which" } th.n { "Sent" } th { "Step" } th { "Why" } } }
            tbody {
                @for entry in audit {
                    tr {
                        td { (moment(entry.at)) }
                        td { (entry.by) }
                        td { (entry.topic) @if entry.to != entry.topic { " to " (entry.to) } }
                        td.small {
                            @if let Some(since) = entry.since { span.pair { "since " (moment(since)) } " " }
                            @if let Some(until) = entry.until { span.pair { "until " (moment(until)) } " " }
                            @if let Some(key) = &entry.key { span.pair { "key " (key) } " " }
                            @if let Some(kind) = &entry.kind { span.pair { "type " (kind) } " " }
                            @if entry.fresh_ids { span.pair { "new ids" } }
                        }
                        td.n { (format::number(entry.sent)) }
                        td { (std::format!("{:?}", entry.step).to_lowercase()) @if let Some(error) = &entry.error { p.detail { (error) } } }
                        td { (entry.reason) }
                    }
                }
            }
        } }
    }
}

fn replay_form(console: &Console, topics: &[String]) -> Markup {
    html! {
        section {
            h2 { "Publish history again" }
            form.edit action="/outbox/replay" method="post" {
                input type="hidden" name="token" value=(console.token);
                label { "Topic " select name="topic" { @for topic in topics { option { (topic) } } } }
                label { "Since " input type="text" name="since" placeholder="2h, or 2026-01-31T12:00:00Z"; }
                label { "Until " input type="text" name="until" placeholder="now"; }
                label { "Key " input type="text" name="key"; }
                label { "Type " input type="text" name="type"; }
                label { "Who asks for it " input type="text" name="by" required; }
                label { "Why " input type="text" name="reason" required; }
                label.check { input type="checkbox" name="fresh-ids" value="yes"; " new ids, so that inboxes which have seen a message take it once more" }
                p.muted.small {
                    "All subscriptions of the topic hear of it, " (format::number(REPLAY_MAX)) " messages at most. To let one \
                     subscription hear again, move it on its topic's page."
                }
                div.actions { button type="submit" { "Publish again" } }
            }
        }
    }
}

/// `POST /outbox/replay`
pub(crate) async fn replay(State(console): Shared, form: Filled) -> Response {
    match again(&console, &form).await {
        Ok(count) => What::Replay.to("/outbox", count),
        Err(error) => frame::failed(&console, &error),
    }
}

async fn again(console: &Console, form: &Filled) -> Result<u64, Error> {
    form.check(console)?;
    let now = console.now();
    let text = |name: &str| form.filled(name).map(str::to_owned);
    let wanted =
        |name: &'static str| text(name).ok_or_else(|| Error::Invalid(format!("the field `{name}` is empty")));
    let replay = Replay {
        since: form.filled("since").map(|text| past(text, now)).transpose()?,
        until: form.filled("until").map(|text| past(text, now)).transpose()?,
        key: text("key"),
        kind: text("type"),
        limit: REPLAY_MAX,
        per_second: NonZeroU32::new(PER_SECOND).unwrap_or(NonZeroU32::MIN),
        fresh_ids: form.get("fresh-ids").is_some(),
        to: Destination::Topic(wanted("topic")?),
        ..Replay::new(wanted("topic")?, wanted("by")?, wanted("reason")?)
    };
    Ok(outbox(console).replay(&replay).await?.matched)
}
