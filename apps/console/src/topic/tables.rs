//! Topics, and those who read them, line by line.

use dozen_core::Timestamp;
use dozen_messaging::CircuitState;
use maud::{Markup, html};

use super::{PREFIX, Reader, TopicData, path_of};
use crate::console::Console;
use crate::frame::{ago, live};
use crate::live::key;
use crate::{format, rest};

/// One line for each topic.
pub(crate) fn topics_table(topics: &[TopicData], now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Topic" } th.n { "Published" } th.n { "Subscriptions" } th { "Furthest behind" } th.n { "Dead" } } }
            tbody {
                @for topic in topics {
                    @let last = topic.readers.iter().max_by_key(|reader| reader.lag).filter(|reader| reader.lag > 0);
                    @let dead: u64 = topic.readers.iter().map(|reader| reader.status.parked).sum();
                    tr {
                        td { a href=(topic.path()) { strong { (topic.name) } } }
                        td.n { (live(&format!("{PREFIX}{}:appended", topic.name), topic.published)) }
                        td.n { (topic.readers.len()) }
                        td { @match last {
                            Some(reader) => { (reader.status.reader) ": " (lag(reader, now)) }
                            None => span.muted { "none" },
                        } }
                        td.n.bad[dead > 0] { (format::number(dead)) }
                    }
                }
            }
        } }
    }
}

fn lag(reader: &Reader, now: Timestamp) -> Markup {
    let messages = format::count(reader.lag, "message", "messages");
    html! { (messages) @if let Some(oldest) = reader.status.oldest { ", " (format::span(now.since(oldest))) } }
}

/// One line for each subscription and relay.
pub(super) fn readers_table(console: &Console, topic: &TopicData, now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Subscription" } th { "To" } th.n { "Behind" } th.n { "For" }
                th.n { "In hand" } th.n { "Waiting" } th.n { "Held" } th.n { "Dead" } th.n { "Keys held up" } th {}
            } }
            tbody {
                @for reader in &topic.readers {
                    @let status = &reader.status;
                    @let number = |name: &str, value: u64| live(&key(&status.stream, &status.reader, name), value);
                    tr {
                        td { (name(reader, topic, now)) }
                        td.small {
                            span.mono { (reader.to.as_deref().unwrap_or(if reader.is_relay() { "" } else { "pulled" })) }
                            @if let Some(filter) = &reader.filter { " " span.pair { (filter) } }
                        }
                        td.n { (number("lag", reader.lag)) }
                        td.n { @if let Some(oldest) = status.oldest { (format::span(now.since(oldest))) } }
                        td.n { (number("leased", status.leased)) }
                        td.n { (number("waiting", status.waiting)) }
                        td.n { (number("held", status.held)) }
                        td.n.bad[status.parked > 0] { (number("parked", status.parked)) }
                        td.n { (format::number(status.parked_keys)) }
                        td.actions {
                            // A relay has a place of its own to be looked at, and nothing that a person should move.
                            @if !reader.is_relay() {
                                @let path = path_of(topic, &status.reader);
                                (rest::button(console, &path, status.paused))
                                (rest::mover(console, &path))
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// A subscription's name, and what is unusual about it.
fn name(reader: &Reader, topic: &TopicData, now: Timestamp) -> Markup {
    let circuit = reader.circuit.as_ref().filter(|circuit| circuit.state != CircuitState::Closed);
    html! {
        @match reader.is_relay() {
            true => a href="/outbox" { strong { (reader.status.reader) } },
            false => strong { (reader.status.reader) },
        }
        @if reader.pattern != topic.name { " " span.pair.mono { (reader.pattern) } }
        @if reader.status.paused { " " span.tag.warn { "paused" } }
        @if let Some(circuit) = circuit {
            br; span.tag.bad title=(circuit.error.as_deref().unwrap_or("")) { "its receiver is away" }
            @if let Some(since) = circuit.since { " since " (ago(since, now)) }
        }
    }
}
