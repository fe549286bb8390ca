//! `/trace/{id}`: everything that one request caused, as far as it is remembered.
//!
//! The journal has no index of traces, and a console must not ask for one: messages of a trace are looked for among
//! the latest of each stream, which is where somebody who follows a trace is looking.

use dozen_core::{Timestamp, TraceContext};
use maud::{Markup, html};
use serde::Serialize;

use crate::Error;
use crate::console::Console;
use crate::done::Done;
use crate::frame::{fresh, message_link, moment, nothing};
use crate::gateway::requests_table;
use crate::messages::of_entry;
use crate::sources::RequestView;
use crate::view::View;

/// Streams that are searched.
const STREAMS_MAX: usize = 50;
/// The latest entries of each that are looked at. They come with their data, one stream after the other.
const TAIL_MAX: usize = 100;
/// Messages shown.
const RELATED_MAX: usize = 200;

/// A message of a trace.
#[derive(Debug, Serialize)]
pub(crate) struct Related {
    pub(crate) id: String,
    kind: String,
    stream: String,
    pub(crate) position: u64,
    stored: Timestamp,
}

/// Everything of one trace.
#[derive(Serialize)]
pub(crate) struct Trace {
    trace_id: String,
    now: Timestamp,
    requests: Vec<RequestView>,
    messages: Vec<Related>,
}

/// The id of a trace, from itself or from a whole `traceparent`.
pub(crate) fn id_of(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    if let Ok(trace) = text.parse::<TraceContext>() {
        return Some(trace.trace_id_text());
    }
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(text)
}

/// Messages of a trace among the latest of each stream, in the order in which they were stored.
pub(crate) async fn messages(console: &Console, trace_id: &str) -> Result<Vec<Related>, Error> {
    let mut found = Vec::new();
    for status in console.journal.streams("").await?.into_iter().take(STREAMS_MAX) {
        let stream = status.stream.as_str().into();
        for entry in console.journal.tail(&stream, TAIL_MAX).await? {
            // Looked for in the text first: parsing what cannot match would be most of the work.
            if !entry.record.attributes.contains(trace_id) {
                continue;
            }
            let message = of_entry(&entry);
            if message.trace().is_some_and(|trace| trace.trace_id_text() == trace_id) {
                let (stream, position, stored) = (status.stream.clone(), entry.position, entry.at);
                found.push(Related { id: message.id, kind: message.kind, stream, position, stored });
            }
        }
    }
    found.sort_by_key(|related| related.position);
    found.truncate(RELATED_MAX);
    Ok(found)
}

impl View for Trace {
    const PATH: &'static str = "";

    async fn gather(console: &Console, text: &str) -> Result<Self, Error> {
        let trace_id = id_of(text).ok_or_else(|| {
            Error::Invalid("a trace id is 32 hexadecimal digits, as in a `traceparent` header".to_owned())
        })?;
        let messages = messages(console, &trace_id).await?;
        let requests = (console.sources.requests)(&trace_id);
        Ok(Self { now: console.now(), requests, messages, trace_id })
    }

    fn title(&self) -> String {
        format!("Trace {}", self.trace_id)
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            p.crumb { "Trace" }
            h1.id { (self.trace_id) }
            (fresh("trace", html! {
                section {
                    h2 { "Requests" }
                    @if self.requests.is_empty() { (nothing("No request of it is remembered.")) }
                    @else { (requests_table(&self.requests, self.now)) }
                }
                section {
                    h2 { "Messages" }
                    @if self.messages.is_empty() { (nothing("None of the latest messages belongs to it.")) }
                    @else { (related_table(&self.messages)) }
                }
            }))
        }
    }
}

/// One line for each message of a trace.
pub(crate) fn related_table(messages: &[Related]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Message" } th { "Type" } th { "In" } th { "Stored" } } }
            tbody {
                @for message in messages {
                    tr {
                        td { (message_link(&message.id)) }
                        td { (message.kind) }
                        td.mono { (message.stream) }
                        td { (moment(message.stored)) }
                    }
                }
            }
        } }
    }
}
