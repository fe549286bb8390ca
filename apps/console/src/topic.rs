//! `/topic` and `/topic/{name}`: what was published, and how far each subscription has come.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use dozen_core::Timestamp;
use dozen_store::{Entry, ReaderStatus};
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::dead_letters::{self, Done, Letter};
use crate::frame::{self, Page, ago, fresh, live, message_link, nothing};
use crate::live::key;
use crate::serve::json;
use crate::sources::SubscriptionView;
use crate::{Error, format, journey, queue};

/// What names a topic's stream.
pub(crate) const PREFIX: &str = "topic/";
/// Messages shown.
const MESSAGES_MAX: usize = 50;
/// Subscriptions whose dead letters one page shows.
const DEAD_MAX: usize = 20;

/// A message in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: String,
    kind: String,
    source: String,
    key: Option<String>,
    position: u64,
    stored: Timestamp,
    bytes: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reader {
    pub(crate) status: ReaderStatus,
    /// How many messages are before it.
    lag: u64,
    /// How old the oldest of them is, in seconds.
    lag_seconds: f64,
    /// What the file says of it.
    declared: Option<SubscriptionView>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TopicData {
    pub(crate) name: String,
    published: u64,
    pub(crate) readers: Vec<Reader>,
    settings: Vec<(String, String)>,
}

impl TopicData {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), published: 0, readers: Vec::new(), settings: Vec::new() }
    }
}

#[derive(Serialize)]
struct One {
    now: Timestamp,
    topic: TopicData,
    dead_letters: Vec<(String, u64, Vec<Letter>)>,
    messages: Vec<Shown>,
}

/// The topics of the file and of the store, by name.
pub(crate) async fn gather_all(console: &Console) -> Result<Vec<TopicData>, Error> {
    let mut topics: BTreeMap<String, TopicData> = BTreeMap::new();
    for topic in (console.sources.topics)() {
        let mut data = TopicData::named(&topic.name);
        data.settings = topic.settings;
        topics.insert(topic.name, data);
    }
    for stream in console.journal.streams(PREFIX).await? {
        if let Some(name) = stream.stream.strip_prefix(PREFIX) {
            topics.entry(name.to_owned()).or_insert_with(|| TopicData::named(name)).published =
                stream.appended;
        }
    }
    let declared = (console.sources.subscriptions)();
    let now = console.now();
    for status in console.journal.readers(PREFIX).await? {
        let Some(name) = status.stream.strip_prefix(PREFIX).map(str::to_owned) else { continue };
        let reader = Reader {
            lag: status.lag(),
            lag_seconds: status.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()),
            declared: declared.iter().find(|view| view.name == status.reader).cloned(),
            status,
        };
        topics.entry(name.clone()).or_insert_with(|| TopicData::named(&name)).readers.push(reader);
    }
    Ok(topics.into_values().collect())
}

async fn gather(console: &Console, name: &str) -> Result<One, Error> {
    let topics = gather_all(console).await?;
    let topic = topics.into_iter().find(|topic| topic.name == name).ok_or_else(|| Error::Unknown {
        kind: "topic",
        name: name.to_owned(),
        hint: "; a topic is known once it stands in the file or something was published on it",
    })?;
    let stream = format!("{PREFIX}{name}").into();
    let mut dead = Vec::new();
    for reader in topic.readers.iter().filter(|reader| reader.status.parked > 0).take(DEAD_MAX) {
        let status = &reader.status;
        let letters = dead_letters::of(console, &stream, &status.reader).await?;
        dead.push((status.reader.clone(), status.parked, letters));
    }
    let messages = shown(console.journal.tail(&stream, MESSAGES_MAX).await?);
    Ok(One { now: console.now(), topic, dead_letters: dead, messages })
}

pub(crate) async fn list_page(State(console): Shared) -> Response {
    let page = gather_all(&console).await.map(|topics| Page {
        title: "Topics".into(),
        path: "/topic",
        follows: Some(PREFIX.to_owned()),
        body: html! {
            h1 { "Topics" }
            (fresh("topics", html! {
                @if topics.is_empty() {
                    (nothing("No topic yet. One is made by the first event that is published on it."))
                } @else {
                    (topics_table(&topics, console.now()))
                }
            }))
        },
    });
    frame::answer(&console, page)
}

pub(crate) async fn list_twin(State(console): Shared) -> Response {
    json(gather_all(&console).await).into_response()
}

pub(crate) async fn one_page(
    State(console): Shared,
    Path(name): Path<String>,
    Query(done): Query<Done>,
) -> Response {
    let page = gather(&console, &name).await.map(|data| Page {
        title: format!("Topic {name}"),
        path: "/topic",
        follows: Some(format!("{PREFIX}{name}")),
        body: render(&console, &data, &done),
    });
    frame::answer(&console, page)
}

pub(crate) async fn one_twin(State(console): Shared, Path(name): Path<String>) -> Response {
    json(gather(&console, &name).await).into_response()
}

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
                        td { a href={ "/topic/" (format::encode(&topic.name)) } { strong { (topic.name) } } }
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

fn render(console: &Console, data: &One, done: &Done) -> Markup {
    let topic = &data.topic;
    html! {
        p.crumb { a href="/topic" { "Topics" } }
        h1 { (topic.name) }
        (done.notice())
        p.lead { (live(&format!("{PREFIX}{}:appended", topic.name), topic.published)) " published" }
        (fresh("topic", html! {
            (queue::settings(&topic.settings))
            section {
                h2 { "Subscriptions" }
                @if topic.readers.is_empty() { (nothing("Nobody subscribes to it.")) } @else { (readers_table(topic, data.now)) }
            }
            @for (reader, all, letters) in &data.dead_letters {
                @let action = format!("/topic/{}/{}/dead-letters", format::encode(&topic.name), format::encode(reader));
                p.crumb { "Subscription " strong { (reader) } }
                (dead_letters::section(console, &action, letters, *all, data.now))
            }
            section {
                h2 { "Last messages" }
                @if data.messages.is_empty() { (nothing("No message is kept.")) } @else { (messages_table(&data.messages, data.now)) }
            }
        }))
    }
}

fn readers_table(topic: &TopicData, now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Subscription" } th { "To" } th.n { "Behind" } th.n { "For" }
                th.n { "In hand" } th.n { "Waiting" } th.n { "Held" } th.n { "Dead" }
            } }
            tbody {
                @for reader in &topic.readers {
                    @let status = &reader.status;
                    @let number = |name: &str, value: u64| live(&key(&status.stream, &status.reader, name), value);
                    tr {
                        td { strong { (status.reader) } }
                        td.small { @if let Some(view) = &reader.declared {
                            span.mono { (view.to.as_deref().unwrap_or("pulled")) }
                            @if let Some(filter) = &view.filter { " " span.pair { (filter) } }
                        } }
                        td.n { (number("lag", reader.lag)) }
                        td.n { @if let Some(oldest) = status.oldest { (format::span(now.since(oldest))) } }
                        td.n { (number("leased", status.leased)) }
                        td.n { (number("waiting", status.waiting)) }
                        td.n { (number("held", status.held)) }
                        td.n.bad[status.parked > 0] { (number("parked", status.parked)) }
                    }
                }
            }
        } }
    }
}

/// Entries for a list, latest first.
pub(crate) fn shown(entries: Vec<Entry>) -> Vec<Shown> {
    let show = |entry: Entry| {
        let message = journey::message(&entry);
        Shown {
            key: message.key().map(str::to_owned),
            id: message.id,
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
    html! {
        div.scroll { table {
            thead { tr { th { "Message" } th { "Type" } th { "Source" } th { "Key" } th.n { "Bytes" } th { "Stored" } } }
            tbody {
                @for message in messages {
                    tr {
                        td { (message_link(&message.id)) }
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
