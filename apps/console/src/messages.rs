//! Messages as the journal has them, and in a list.

use dozen_core::{Message, Timestamp};
use dozen_store::Entry;
use maud::{Markup, html};
use serde::Serialize;

use crate::format;
use crate::frame::{ago, message_link, nothing};

/// A message of the journal, or what is left of it when its attributes do not read.
pub(crate) fn of_entry(entry: &Entry) -> Message {
    let record = entry.record.clone();
    Message::try_from(record.clone())
        .unwrap_or_else(|_| Message::new(record.id, "", record.kind).with_data(Some(""), record.data))
}

/// A message in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: String,
    /// Where it was published, in a list of several topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    kind: String,
    source: String,
    key: Option<String>,
    position: u64,
    stored: Timestamp,
    bytes: usize,
}

/// Entries for a list, latest first.
pub(crate) fn shown(entries: Vec<Entry>) -> Vec<Shown> {
    shown_of(entries.into_iter().map(|entry| (None, entry)).collect())
}

/// The same for entries of several topics.
pub(crate) fn shown_of(entries: Vec<(Option<String>, Entry)>) -> Vec<Shown> {
    let show = |(topic, entry): (Option<String>, Entry)| {
        let message = of_entry(&entry);
        Shown {
            key: message.key().map(str::to_owned),
            id: message.id,
            topic,
            kind: message.kind,
            source: message.source,
            position: entry.position,
            stored: entry.at,
            bytes: message.data.len(),
        }
    };
    entries.into_iter().rev().map(show).collect()
}

/// One line for each message; its id leads to its journey.
fn messages_table(messages: &[Shown], now: Timestamp) -> Markup {
    let of_several = messages.iter().any(|message| message.topic.is_some());
    html! {
        div.scroll { table {
            thead { tr { th { "Message" } @if of_several { th { "Topic" } } th { "Type" } th { "Source" } th { "Key" } th.n { "Bytes" } th { "Stored" } } }
            tbody {
                @for message in messages {
                    tr {
                        td { (message_link(&message.id)) }
                        @if let Some(topic) = &message.topic {
                            td { a href={ "/topic/" (format::encode(topic)) } { (topic) } }
                        }
                        td { (message.kind) }
                        td.mono { (message.source) }
                        td.mono { (message.key.as_deref().unwrap_or("")) }
                        td.n { (format::number(message.bytes as u64)) }
                        td { (ago(message.stored, now)) }
                    }
                }
            }
        } }
    }
}

/// A section of messages, or what it says without one.
pub(crate) fn messages_section(title: &str, without: &str, messages: &[Shown], now: Timestamp) -> Markup {
    html! {
        section {
            h2 { (title) }
            @if messages.is_empty() { (nothing(without)) } @else { (messages_table(messages, now)) }
        }
    }
}
