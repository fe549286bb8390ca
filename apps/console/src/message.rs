//! `/message/{id}`: the journey of a message.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use dozen_core::{Message, Timestamp};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chart::chart;
use crate::console::{Console, Shared};
use crate::frame::{self, Page, fresh, message_href, moment};
use crate::gateway::status;
use crate::journey::{Journey, Lane, Step, Stop};
use crate::messages::of_entry;
use crate::serve::json;
use crate::trace::{self, Related};
use crate::tree::Tree;
use crate::{Error, format, tree};

/// Bytes of a payload that are shown.
const DATA_MAX: usize = 32 * 1024;

#[derive(Serialize)]
struct Data {
    id: String,
    /// The message as a CloudEvent.
    message: Value,
    trace_id: Option<String>,
    journey: Journey,
    /// Other messages of the same trace, as far as they are among the latest of their streams.
    related: Vec<Related>,
    /// What each reader made of it, and what came after it.
    tree: Tree,
    #[serde(skip)]
    original: Message,
}

/// Readers of one stream that the page tells of.
const READERS_MAX: usize = 200;

/// What was typed into the search box.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Search {
    id: String,
}

async fn gather(console: &Console, id: &str) -> Result<Data, Error> {
    let sightings = console.journal.find(id).await?;
    let Some(first) = sightings.first() else {
        return Err(Error::Unknown {
            kind: "message",
            name: id.chars().take(256).collect(),
            hint: " in the store; it was never stored here, or it has been forgotten with age",
        });
    };
    let original = of_entry(&first.entry);
    let trace_id = original.trace().map(|trace| trace.trace_id_text());
    let mut readers = Vec::new();
    let mut streams: Vec<&str> = sightings.iter().map(|sighting| &*sighting.stream).collect();
    streams.dedup();
    for stream in streams {
        readers.extend(console.journal.readers(stream).await?);
    }
    let (requests, related) = match &trace_id {
        Some(trace_id) => {
            let related = trace::messages(console, trace_id).await?;
            let others = related.into_iter().filter(|related| related.id != id).collect();
            ((console.sources.requests)(trace_id), others)
        }
        None => Default::default(),
    };
    let related: Vec<Related> = related;
    let tree = Tree::grow(console, &sightings, &related).await?;
    let journey = Journey::tell(&sightings, &readers, requests, console.now());
    Ok(Data { id: id.to_owned(), message: original.to_value(), trace_id, journey, related, tree, original })
}

/// The search box: to the message, or to the trace of that id.
pub(crate) async fn search(State(console): Shared, Query(search): Query<Search>) -> Response {
    let id = search.id.trim();
    if id.is_empty() {
        return Redirect::to("/").into_response();
    }
    if frame::is_segment(id) {
        return Redirect::to(&message_href(id)).into_response();
    }
    answer(&console, id).await
}

pub(crate) async fn page(State(console): Shared, Path(id): Path<String>) -> Response {
    answer(&console, &id).await
}

async fn answer(console: &Console, id: &str) -> Response {
    let page = match gather(console, id).await {
        Err(Error::Unknown { .. }) if trace::id_of(id).is_some() => {
            return Redirect::to(&format!("/trace/{}", trace::id_of(id).unwrap_or_default())).into_response();
        }
        gathered => gathered.map(|data| Page {
            title: format!("Message {id}"),
            path: "",
            follows: Some(String::new()),
            body: render(&data),
        }),
    };
    frame::answer(console, page)
}

pub(crate) async fn twin(State(console): Shared, Path(id): Path<String>) -> Response {
    json(gather(&console, &id).await).into_response()
}

fn render(data: &Data) -> Markup {
    let message = &data.original;
    html! {
        p.crumb { "The journey of" }
        h1.id { (data.id) }
        p.lead {
            strong { (message.kind) } " from " span.mono { (message.source) }
            @if let Some(subject) = &message.subject { " about " (subject) }
            @if let Some(key) = message.key() { ", key " span.mono { (key) } }
        }
        (fresh("journey", html! {
            section { (chart(&data.journey)) }
            (data.tree.render())
            section { (timeline(&data.journey)) }
            @if !data.related.is_empty() {
                section {
                    h2 { "Of the same trace" }
                    (trace::related_table(&data.related))
                }
            }
        }))
        section {
            h2 { "Message" }
            (attributes(data))
            (payload(message))
        }
    }
}

fn timeline(journey: &Journey) -> Markup {
    html! {
        ol.timeline {
            @for request in &journey.requests {
                li.step.request {
                    (when(Some(request.at), true, journey))
                    div {
                        strong { "request " span.mono { (request.method) " " (request.path) } } " " (status(request.status))
                        p.detail {
                            @if let Some(service) = &request.service { "answered by " (service) " " }
                            @match request.took { Some(took) => { "in " (format::span(took)) } None => "under way" }
                        }
                    }
                }
            }
            @for stop in &journey.stops { (stored(stop, journey)) }
        }
    }
}

fn stored(stop: &Stop, journey: &Journey) -> Markup {
    html! {
        li.step.stored {
            (when(Some(stop.stored), true, journey))
            div {
                strong { "stored" } " in " (tree::place(&stop.stream))
                p.detail {
                    "position " (format::number(stop.position))
                    @if let Some(due) = stop.due { ", not to be handed out before " (moment(due)) }
                }
                @if stop.readers.is_empty() { p.detail { "Nobody reads it yet." } }
                @for lane in stop.readers.iter().take(READERS_MAX) { (branch(lane, journey)) }
                @if let Some(more) = stop.readers.len().checked_sub(READERS_MAX) && more > 0 {
                    p.detail { "And " (format::count(more as u64, "reader", "readers")) " more, all of which are in the JSON twin of this page." }
                }
            }
        }
    }
}

fn branch(lane: &Lane, journey: &Journey) -> Markup {
    html! {
        div.branch {
            h3 { (lane.reader) }
            ol.timeline {
                @for step in &lane.steps {
                    li class={ "step " (step.what.class()) } {
                        (when(step.at, step.what.is_past(), journey))
                        div {
                            strong { (step.title) }
                            (due(step, journey))
                            @if let Some(detail) = &step.detail { p.detail { (detail) } }
                        }
                    }
                }
            }
        }
    }
}

/// For what is still to come: in how long.
fn due(step: &Step, journey: &Journey) -> Markup {
    html! {
        @if let Some(at) = step.at && at > journey.now { " " span.muted { (format::age(at, journey.now)) } }
    }
}

fn when(at: Option<Timestamp>, is_past: bool, journey: &Journey) -> Markup {
    html! {
        div.when {
            @match at {
                Some(at) => { b { (format::offset(at, journey.origin)) } (moment(at)) }
                None if !is_past => {}
                None => span.muted title="The store keeps the moment of the last hand-out only" { "not kept" },
            }
        }
    }
}

fn attributes(data: &Data) -> Markup {
    let attributes = data.original.attributes();
    html! {
        dl.attributes {
            dt { "id" } dd.mono { (data.id) }
            dt { "type" } dd.mono { (data.original.kind) }
            @for (name, value) in &attributes {
                dt { (name) }
                dd.mono {
                    @match value { Value::String(text) => (text), other => (other) }
                    @if name == "traceparent" && let Some(trace_id) = &data.trace_id {
                        " " a href={ "/trace/" (trace_id) } { "the whole trace" }
                    }
                }
            }
        }
    }
}

fn payload(message: &Message) -> Markup {
    let cut = &message.data[..message.data.len().min(DATA_MAX)];
    let text = match serde_json::from_slice::<Value>(&message.data) {
        Ok(value) if message.is_json() && message.data.len() <= DATA_MAX => {
            serde_json::to_string_pretty(&value).ok()
        }
        _ => match std::str::from_utf8(cut) {
            Ok(text) => Some(text.to_owned()),
            // The cut may have gone through a letter.
            Err(error) if error.error_len().is_none() => {
                Some(String::from_utf8_lossy(&cut[..error.valid_up_to()]).into_owned())
            }
            Err(_) => None,
        },
    };
    html! {
        @if message.data.is_empty() {
            p.nothing { "It carries no data." }
        } @else {
            @match text {
                Some(text) => pre { (text) },
                None => p.nothing { "Its data is not text." },
            }
            @if message.data.len() > DATA_MAX { p.muted.small { "The first " (format::number(DATA_MAX as u64)) " bytes." } }
            p.muted.small { (format::count(message.data.len() as u64, "byte", "bytes")) }
        }
    }
}
