//! `/queue` and `/queue/{name}`: what waits, what is worked on, what was given up.

mod tables;

use std::collections::{BTreeMap, BTreeSet};

use dozen_core::Timestamp;
use dozen_queue::{Overview, name_of};
use dozen_store::ReaderStatus;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::dead_letters::{self, Letter};
use crate::done::Done;
use crate::frame::{ago, fresh, live, nothing, settings};
use crate::live::key;
use crate::messages::{Shown, messages_section, shown};
use crate::view::View;
use crate::{Error, format, rest};
use tables::priorities;
pub(crate) use tables::queues_table;

/// The one reader of a queue's stream.
pub(crate) const WORKERS: &str = dozen_queue::READER;
/// What names a queue's streams.
pub(crate) const PREFIX: &str = "queue/";
/// After "there is no queue".
pub(crate) const HINT: &str = "; a queue is known once it stands in the file or something was sent to it";
/// Messages shown.
const MESSAGES_MAX: usize = 25;

/// One queue, its priorities together.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct QueueData {
    #[serde(flatten)]
    pub(crate) overview: Overview,
    /// What was ever sent.
    pub(crate) sent: u64,
    /// Messages that are neither finished nor dead letters.
    pub(crate) lag: u64,
    /// How old the oldest of them is.
    lag_seconds: f64,
    /// Where there are several, the highest first.
    priorities: Vec<Priority>,
    settings: Vec<(String, String)>,
}

/// What is in one priority.
#[derive(Clone, Debug, Serialize)]
struct Priority {
    priority: u8,
    status: ReaderStatus,
}

impl QueueData {
    fn named(name: &str) -> Self {
        Self {
            overview: Overview { name: name.to_owned(), ..Overview::default() },
            sent: 0,
            lag: 0,
            lag_seconds: 0.0,
            priorities: Vec::new(),
            settings: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.overview.name
    }

    fn path(&self) -> String {
        format!("/queue/{}", format::encode(self.name()))
    }

    fn key(&self, counter: &str) -> String {
        key(&format!("{PREFIX}{}", self.name()), WORKERS, counter)
    }

    /// The five counters: the name that the events know, what it is called, what it means, value.
    fn counters(&self) -> [(&'static str, &'static str, &'static str, u64); 5] {
        let of = &self.overview;
        [
            ("fresh", "fresh", "not handed out yet", of.fresh),
            ("leased", "working", "in a worker's hands", of.working),
            ("waiting", "waiting", "to be retried, or delayed", of.waiting),
            ("held", "held", "behind an earlier message of their key", of.held),
            ("parked", "dead letters", "given up; a person must look", of.dead),
        ]
    }
}

/// The queues of the file and of the store, by name.
pub(crate) async fn gather_all(console: &Console) -> Result<Vec<QueueData>, Error> {
    let mut queues: BTreeMap<String, QueueData> = BTreeMap::new();
    for declared in (console.sources.queues)() {
        let data = QueueData { settings: declared.settings, ..QueueData::named(&declared.name) };
        queues.insert(declared.name, data);
    }
    for stream in console.journal.streams(PREFIX).await? {
        if let Some(name) = name_of(&stream.stream) {
            queues.entry(name.to_owned()).or_insert_with(|| QueueData::named(name)).sent += stream.appended;
        }
    }
    let overviews = Overview::of(&console.sources.store).await?;
    let read: BTreeSet<String> = overviews.iter().map(|overview| overview.name.clone()).collect();
    for overview in overviews {
        let queue = queues.entry(overview.name.clone()).or_insert_with(|| QueueData::named(&overview.name));
        queue.overview = overview;
    }
    let now = console.now();
    for queue in queues.values_mut() {
        if !read.contains(queue.name()) {
            queue.overview.fresh = queue.sent; // nobody has ever asked for one
        }
        queue.lag = queue.overview.lag();
        queue.lag_seconds = queue.overview.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    }
    Ok(queues.into_values().collect())
}

/// All queues.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Queues {
    queues: Vec<QueueData>,
    #[serde(skip)]
    now: Timestamp,
}

impl View for Queues {
    const PATH: &'static str = "/queue";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        Ok(Self { queues: gather_all(console).await?, now: console.now() })
    }

    fn title(&self) -> String {
        "Queues".into()
    }

    fn follows(&self) -> String {
        PREFIX.to_owned()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Queues" }
            (fresh("queues", html! {
                @if self.queues.is_empty() {
                    (nothing("No queue yet. The file declares them under `queues`."))
                } @else {
                    (queues_table(&self.queues, self.now, true))
                }
            }))
        }
    }
}

/// One queue.
#[derive(Serialize)]
pub(crate) struct One {
    now: Timestamp,
    queue: QueueData,
    dead_letters: Vec<Letter>,
    messages: Vec<Shown>,
}

impl View for One {
    const PATH: &'static str = "/queue";

    async fn gather(console: &Console, name: &str) -> Result<Self, Error> {
        let queues = gather_all(console).await?;
        let queue = queues.into_iter().find(|queue| queue.name() == name);
        let mut queue =
            queue.ok_or_else(|| Error::Unknown { kind: "queue", name: name.to_owned(), hint: HINT })?;
        let mut readers = console.journal.readers(&format!("{PREFIX}{name}")).await?;
        readers.retain(|status| status.reader == WORKERS && name_of(&status.stream) == Some(name));
        let dead_letters = match queue.overview.dead {
            0 => Vec::new(),
            _ => dead_letters::of(&console.letters_of_queue(name).await?, None).await?,
        };
        let mut entries = Vec::new();
        for stream in readers
            .iter()
            .map(|status| status.stream.as_str())
            .chain(readers.is_empty().then_some(&*dozen_queue::Queue::stream(name)))
        {
            entries.extend(console.journal.tail(&stream.into(), MESSAGES_MAX).await?);
        }
        entries.sort_by_key(|entry| entry.position);
        entries.drain(..entries.len().saturating_sub(MESSAGES_MAX));
        let priority = |status: ReaderStatus| {
            let priority = status.stream.rsplit_once('/').and_then(|(_, text)| text.parse().ok());
            Priority {
                priority: priority.filter(|_| status.stream.matches('/').count() > 1).unwrap_or(0),
                status,
            }
        };
        if readers.len() > 1 {
            queue.priorities = readers.into_iter().map(priority).collect();
            queue.priorities.sort_by_key(|priority| std::cmp::Reverse(priority.priority));
        }
        Ok(Self { now: console.now(), queue, dead_letters, messages: shown(entries) })
    }

    fn title(&self) -> String {
        format!("Queue {}", self.queue.name())
    }

    fn follows(&self) -> String {
        format!("{PREFIX}{}", self.queue.name())
    }

    fn body(&self, console: &Console, done: &Done) -> Markup {
        let (queue, path) = (&self.queue, self.queue.path());
        html! {
            p.crumb { a href="/queue" { "Queues" } }
            div.head { h1 { (queue.name()) } (rest::button(console, &path, queue.overview.paused)) }
            (done.notice())
            @if queue.overview.paused { p.notice.still { "Its workers rest. What is sent waits." } }
            div.cards {
                @for (name, called, means, value) in queue.counters() {
                    div.card.bad[name == "parked" && value > 0] title=(means) { b { (live(&queue.key(name), value)) } span { (called) } }
                }
            }
            (fresh("queue", html! {
                p.muted {
                    @match queue.overview.oldest {
                        Some(oldest) => { "The oldest message that is not finished was stored " (ago(oldest, self.now)) ". " }
                        None => "Nothing is waiting. ",
                    }
                    (format::count(queue.sent, "message was", "messages were")) " ever sent. "
                    @if queue.overview.parked_keys > 0 {
                        (format::count(queue.overview.parked_keys, "key is", "keys are")) " held up by a dead letter."
                    }
                }
                (settings(&queue.settings))
                (priorities(&queue.priorities))
                (dead_letters::section(console, &path, &self.dead_letters, queue.overview.dead, self.now))
                (messages_section("Last messages", "No message is kept.", &self.messages, self.now))
            }))
        }
    }
}
