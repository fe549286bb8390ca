//! `/topic` and `/topic/{name}`: what was published, and how far each subscription has come.

mod tables;

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use dozen_messaging::CircuitStatus;
use dozen_pubsub::SubscriptionStatus;
use dozen_store::ReaderStatus;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, hears};
use crate::dead_letters::{self, Letter};
use crate::done::Done;
use crate::frame::{fresh, live, nothing, settings};
use crate::messages::{Shown, messages_section, shown};
use crate::view::View;
use crate::{Error, format};
use tables::readers_table;
pub(crate) use tables::topics_table;

/// What names a topic's stream.
pub(crate) const PREFIX: &str = "topic/";
/// Messages shown.
const MESSAGES_MAX: usize = 50;
/// Subscriptions whose dead letters one page shows.
const DEAD_MAX: usize = 20;
/// What the readers of relays are called.
const RELAY: &str = "relay/";

/// One subscription, as far as one topic is concerned.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reader {
    pub(crate) status: ReaderStatus,
    /// How many messages are before it.
    lag: u64,
    /// How old the oldest of them is, in seconds.
    lag_seconds: f64,
    /// What it was made with: this topic, or a pattern that stands for it.
    pattern: String,
    /// Which messages it wants.
    filter: Option<String>,
    /// Its receiver, while that is away.
    circuit: Option<CircuitStatus>,
    /// Where messages go by the file; `None` when they are pulled.
    to: Option<String>,
}

impl Reader {
    fn is_relay(&self) -> bool {
        self.status.reader.starts_with(RELAY)
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TopicData {
    pub(crate) name: String,
    published: u64,
    /// Payload that is kept.
    bytes: u64,
    pub(crate) readers: Vec<Reader>,
    settings: Vec<(String, String)>,
}

impl TopicData {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), published: 0, bytes: 0, readers: Vec::new(), settings: Vec::new() }
    }

    fn path(&self) -> String {
        format!("/topic/{}", format::encode(&self.name))
    }
}

/// The topics of the file and of the store, by name.
pub(crate) async fn gather_all(console: &Console) -> Result<Vec<TopicData>, Error> {
    let mut topics: BTreeMap<String, TopicData> = BTreeMap::new();
    for topic in (console.sources.topics)() {
        let data = TopicData { settings: topic.settings, ..TopicData::named(&topic.name) };
        topics.insert(topic.name, data);
    }
    for stream in console.journal.streams(PREFIX).await? {
        if let Some(name) = stream.stream.strip_prefix(PREFIX) {
            let topic = topics.entry(name.to_owned()).or_insert_with(|| TopicData::named(name));
            (topic.published, topic.bytes) = (stream.appended, stream.bytes);
        }
    }
    let statuses = console.sources.broker.subscriptions().await?;
    let declared = (console.sources.subscriptions)();
    let now = console.now();
    for status in console.journal.readers(PREFIX).await? {
        let Some(name) = status.stream.strip_prefix(PREFIX).map(str::to_owned) else { continue };
        let own = |one: &&SubscriptionStatus| one.name == status.reader && hears(&one.topic, &name);
        let own = statuses.iter().find(own);
        let reader = Reader {
            lag: status.lag(),
            lag_seconds: status.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()),
            pattern: own.map_or_else(|| name.clone(), |own| own.topic.clone()),
            filter: own.and_then(|own| own.filter.clone()),
            circuit: own.and_then(|own| own.circuit.clone()),
            to: declared.iter().find(|view| view.name == status.reader).and_then(|view| view.to.clone()),
            status,
        };
        topics.entry(name.clone()).or_insert_with(|| TopicData::named(&name)).readers.push(reader);
    }
    Ok(topics.into_values().collect())
}

/// All topics.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Topics {
    topics: Vec<TopicData>,
    #[serde(skip)]
    now: Timestamp,
}

impl View for Topics {
    const PATH: &'static str = "/topic";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        Ok(Self { topics: gather_all(console).await?, now: console.now() })
    }

    fn title(&self) -> String {
        "Topics".into()
    }

    fn follows(&self) -> String {
        PREFIX.to_owned()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Topics" }
            (fresh("topics", html! {
                @if self.topics.is_empty() {
                    (nothing("No topic yet. The file declares them under `topics`."))
                } @else {
                    (topics_table(&self.topics, self.now))
                }
            }))
        }
    }
}

/// One topic.
#[derive(Serialize)]
pub(crate) struct One {
    now: Timestamp,
    topic: TopicData,
    dead_letters: Vec<DeadOf>,
    messages: Vec<Shown>,
}

/// The dead letters of one subscription.
#[derive(Serialize)]
struct DeadOf {
    subscription: String,
    /// How many there are, which may be more than are shown.
    all: u64,
    letters: Vec<Letter>,
}

impl View for One {
    const PATH: &'static str = "/topic";

    async fn gather(console: &Console, name: &str) -> Result<Self, Error> {
        let topics = gather_all(console).await?;
        let topic = topics.into_iter().find(|topic| topic.name == name).ok_or_else(|| Error::Unknown {
            kind: "topic",
            name: name.to_owned(),
            hint: "; a topic is known once it stands in the file or something was published on it",
        })?;
        let stream = format!("{PREFIX}{name}");
        let mut dead_letters = Vec::new();
        for reader in topic.readers.iter().filter(|reader| reader.status.parked > 0).take(DEAD_MAX) {
            let (subscription, all) = (reader.status.reader.clone(), reader.status.parked);
            let letters = console.letters_of_subscription(name, &subscription).await?;
            let letters = dead_letters::of(&letters, Some(&stream)).await?;
            dead_letters.push(DeadOf { subscription, all, letters });
        }
        let messages = shown(console.journal.tail(&stream.into(), MESSAGES_MAX).await?);
        Ok(Self { now: console.now(), topic, dead_letters, messages })
    }

    fn title(&self) -> String {
        format!("Topic {}", self.topic.name)
    }

    fn follows(&self) -> String {
        format!("{PREFIX}{}", self.topic.name)
    }

    fn body(&self, console: &Console, done: &Done) -> Markup {
        let topic = &self.topic;
        html! {
            p.crumb { a href="/topic" { "Topics" } }
            h1 { (topic.name) }
            (done.notice())
            p.lead {
                (live(&format!("{PREFIX}{}:appended", topic.name), topic.published)) " published, "
                (format::number(topic.bytes)) " bytes kept"
            }
            (fresh("topic", html! {
                (settings(&topic.settings))
                section {
                    h2 { "Subscriptions" }
                    @if topic.readers.is_empty() { (nothing("Nobody subscribes to it.")) } @else { (readers_table(console, topic, self.now)) }
                }
                @for DeadOf { subscription, all, letters } in &self.dead_letters {
                    p.crumb.of { "Subscription " strong { (subscription) } }
                    (dead_letters::section(console, &path_of(topic, subscription), letters, *all, self.now))
                }
                (messages_section("Last messages", "No message is kept.", &self.messages, self.now))
            }))
        }
    }
}

/// Where the forms of a subscription go.
fn path_of(topic: &TopicData, subscription: &str) -> String {
    format!("{}/{}", topic.path(), format::encode(subscription))
}
