//! `/queue` and `/queue/{name}`: what waits, what is worked on, what was given up.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use dozen_core::Timestamp;
use dozen_store::ReaderStatus;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::dead_letters::{self, Done, Letter};
use crate::frame::{self, Page, ago, fresh, live, nothing};
use crate::live::key;
use crate::serve::json;
use crate::topic::{Shown, messages_table, shown};
use crate::{Error, format};

/// The one reader of a queue's stream.
pub(crate) const WORKERS: &str = "workers";
/// What names a queue's stream.
pub(crate) const PREFIX: &str = "queue/";
/// Messages shown.
const MESSAGES_MAX: usize = 25;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct QueueData {
    pub(crate) name: String,
    /// What was ever sent.
    pub(crate) sent: u64,
    /// `None` while no worker has ever asked for a message.
    pub(crate) status: Option<ReaderStatus>,
    pub(crate) settings: Vec<(String, String)>,
}

impl QueueData {
    fn count(&self, of: fn(&ReaderStatus) -> u64, without: u64) -> u64 {
        self.status.as_ref().map_or(without, of)
    }

    fn key(&self, counter: &str) -> String {
        key(&format!("{PREFIX}{}", self.name), WORKERS, counter)
    }

    /// The five counters: name, what it means, value.
    fn counters(&self) -> [(&'static str, &'static str, u64); 5] {
        [
            ("fresh", "not handed out yet", self.count(|status| status.fresh, self.sent)),
            ("leased", "in a worker's hands", self.count(|status| status.leased, 0)),
            ("waiting", "to be retried, or delayed", self.count(|status| status.waiting, 0)),
            ("held", "behind an earlier message of their key", self.count(|status| status.held, 0)),
            ("parked", "dead letters", self.count(|status| status.parked, 0)),
        ]
    }
}

#[derive(Serialize)]
struct One {
    now: Timestamp,
    queue: QueueData,
    dead_letters: Vec<Letter>,
    messages: Vec<Shown>,
}

/// The queues of the file and of the store, by name.
pub(crate) async fn gather_all(console: &Console) -> Result<Vec<QueueData>, Error> {
    let mut queues: std::collections::BTreeMap<String, QueueData> = (console.sources.queues)()
        .into_iter()
        .map(|queue| {
            let data =
                QueueData { name: queue.name.clone(), sent: 0, status: None, settings: queue.settings };
            (queue.name, data)
        })
        .collect();
    let mut entry = |stream: &str, change: &dyn Fn(&mut QueueData)| {
        if let Some(name) = stream.strip_prefix(PREFIX) {
            change(queues.entry(name.to_owned()).or_insert_with(|| QueueData {
                name: name.to_owned(),
                sent: 0,
                status: None,
                settings: Vec::new(),
            }));
        }
    };
    for stream in console.journal.streams(PREFIX).await? {
        entry(&stream.stream, &|queue| queue.sent = stream.appended);
    }
    for reader in console.journal.readers(PREFIX).await? {
        if reader.reader == WORKERS {
            entry(&reader.stream, &|queue| queue.status = Some(reader.clone()));
        }
    }
    Ok(queues.into_values().collect())
}

async fn gather(console: &Console, name: &str) -> Result<One, Error> {
    let queues = gather_all(console).await?;
    let queue = queues.into_iter().find(|queue| queue.name == name).ok_or_else(|| Error::Unknown {
        kind: "queue",
        name: name.to_owned(),
        hint: "; a queue is known once it stands in the file or something was sent to it",
    })?;
    let stream = format!("{PREFIX}{name}").into();
    let dead_letters = match &queue.status {
        Some(status) if status.parked > 0 => dead_letters::of(console, &stream, WORKERS).await?,
        _ => Vec::new(),
    };
    let messages = shown(console.journal.tail(&stream, MESSAGES_MAX).await?);
    Ok(One { now: console.now(), queue, dead_letters, messages })
}

pub(crate) async fn list_page(State(console): Shared) -> Response {
    let page = gather_all(&console).await.map(|queues| Page {
        title: "Queues".into(),
        path: "/queue",
        follows: Some(PREFIX.to_owned()),
        body: html! {
            h1 { "Queues" }
            (fresh("queues", html! {
                @if queues.is_empty() {
                    (nothing("No queue yet. One is made by the first message that is sent to it."))
                } @else {
                    (queues_table(&queues, console.now(), true))
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
        title: format!("Queue {name}"),
        path: "/queue",
        follows: Some(format!("{PREFIX}{name}")),
        body: render(&console, &data, &done),
    });
    frame::answer(&console, page)
}

pub(crate) async fn one_twin(State(console): Shared, Path(name): Path<String>) -> Response {
    json(gather(&console, &name).await).into_response()
}

/// One line for each queue.
pub(crate) fn queues_table(queues: &[QueueData], now: Timestamp, in_full: bool) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Queue" } th.n { "Fresh" } th.n { "Leased" } th.n { "Waiting" }
                @if in_full { th.n { "Held" } }
                th.n { "Dead" } th.n { "Oldest" }
                @if in_full { th.n { "Ever sent" } }
            } }
            tbody {
                @for queue in queues {
                    tr {
                        td { a href={ "/queue/" (format::encode(&queue.name)) } { strong { (queue.name) } } }
                        @for (name, _, value) in queue.counters() {
                            @if in_full || name != "held" {
                                td.n.bad[name == "parked" && value > 0] { (live(&queue.key(name), value)) }
                            }
                        }
                        td.n { @if let Some(oldest) = oldest(queue) { (ago(oldest, now)) } }
                        @if in_full { td.n { (live(&format!("{PREFIX}{}:appended", queue.name), queue.sent)) } }
                    }
                }
            }
        } }
    }
}

fn oldest(queue: &QueueData) -> Option<Timestamp> {
    queue.status.as_ref().and_then(|status| status.oldest)
}

fn render(console: &Console, data: &One, done: &Done) -> Markup {
    let queue = &data.queue;
    let action = format!("/queue/{}/dead-letters", format::encode(&queue.name));
    html! {
        p.crumb { a href="/queue" { "Queues" } }
        h1 { (queue.name) }
        (done.notice())
        div.cards {
            @for (name, means, value) in queue.counters() {
                div.card.bad[name == "parked" && value > 0] title=(means) { b { (live(&queue.key(name), value)) } span { @if name == "parked" { "dead letters" } @else { (name) } } }
            }
        }
        (fresh("queue", html! {
            p.muted {
                @if queue.status.is_none() { "No worker has asked for a message yet. " }
                @match oldest(queue) {
                    Some(oldest) => { "The oldest message that is not finished was stored " (ago(oldest, data.now)) ". " }
                    None => "Nothing is waiting. ",
                }
                (format::count(queue.sent, "message was", "messages were")) " ever sent."
            }
            (settings(&queue.settings))
            (dead_letters::section(console, &action, &data.dead_letters, queue.count(|status| status.parked, 0), data.now))
            section {
                h2 { "Last messages" }
                @if data.messages.is_empty() { (nothing("No message is kept.")) } @else { (messages_table(&data.messages, data.now)) }
            }
        }))
    }
}

/// What the file says of it.
pub(crate) fn settings(settings: &[(String, String)]) -> Markup {
    html! {
        @if !settings.is_empty() {
            p.small { @for (name, value) in settings { span.pair { (name) ": " (value) } " " } }
        }
    }
}
