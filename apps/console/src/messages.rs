//! Messages in a list.

use dozen_core::Timestamp;
use dozen_store::Entry;
use maud::{Markup, html};
use serde::Serialize;

use crate::frame::{ago, message_link};
use crate::{format, journey};

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
        let message = journey::message(&entry);
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
pub(crate) fn messages_table(messages: &[Shown], now: Timestamp) -> Markup {
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
