//! What goes between the services.

use std::num::NonZeroU64;
use std::time::Duration;

use dozen_core::Backoff;
use dozen_messaging::{CircuitOptions, Compatibility, Policy, Start, TopicSettings};
use dozen_pubsub::{Mode, Pattern, Secrets};
use dozen_queue::{CronEntry, Missed, Options};

use super::super::item::{Field, Item, Value};
use super::{StoreAddress, Target, target_of};

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub options: Options,
    /// What is sent to it by the clock.
    pub cron: Vec<CronEntry>,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: TopicSettings,
}

/// A subscription that pushes to a service, or to an address outside.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// The topics and patterns that it hears of.
    pub topics: Vec<Pattern>,
    /// Where messages are posted.
    pub to: Receiver,
    /// In which form.
    pub mode: Mode,
    /// What signs them.
    pub secrets: Option<Secrets>,
    /// Which messages it wants, in CEL.
    pub filter: Option<String>,
    /// Where a new one begins.
    pub start: Start,
    /// How long a delivery may take without a sign of life.
    pub lease: Duration,
    /// After so many failures a message becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
    /// How many messages of one key are out at a time.
    pub per_key: u32,
    /// How many are handled at once.
    pub in_flight_max: usize,
    /// How many begin in a second.
    pub rate: Option<f64>,
    /// When the receiver is left alone.
    pub circuit: Option<CircuitOptions>,
    /// The topic that gets dead letters.
    pub dead_letter_topic: Option<String>,
}

/// Who gets the messages of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A service of the file.
    Service(Target),
    /// An address outside.
    Url(Url),
}

impl std::fmt::Display for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(Target { service, path: None }) => f.write_str(service),
            Self::Service(Target { service, path: Some(path) }) => write!(f, "{service}:{path}"),
            Self::Url(Url { shown, .. }) => f.write_str(shown),
        }
    }
}

/// An address that may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// In full.
    pub full: String,
    /// As it may be shown: with placeholders in the place of what they stand for.
    pub shown: String,
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Carries topics to another store.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its name.
    pub name: String,
    /// The topics of the file that it carries; `None` is all, also those that are declared later.
    pub topics: Option<Vec<String>>,
    /// Where to.
    pub to: StoreAddress,
    /// Where it begins on a topic that it has not carried before.
    pub start: Start,
    /// How many messages are sent at once.
    pub batch: usize,
}

fn policy(item: &Item) -> Option<Policy> {
    let attempts_max = u32::try_from(item.number("attempts-max")?).ok()?;
    let (first, cap) = item.range("backoff")?;
    Some(Policy { attempts_max, backoff: Backoff::new(first, cap) })
}

pub(super) fn queue(name: &str, item: &Item) -> Option<Queue> {
    let options = Options {
        lease: item.duration("lease")?,
        policy: policy(item)?,
        bytes_max: item.number("body-max")?,
        waiting_max: NonZeroU64::new(item.number("waiting-max")?),
        keep: item.duration("keep")?,
        per_key: u32::try_from(item.number("per-key")?).ok()?,
        priorities: u8::try_from(item.number("priorities")?).ok()?,
        expire: item.duration("expire"),
        per_second: item.rate("rate"),
        prefetch: usize::try_from(item.number("prefetch")?).ok()?,
        sealed: item.flag("sealed")?,
    };
    let cron = item.get("cron")?.fields().iter().map(cron).collect::<Option<_>>()?;
    Some(Queue { name: name.to_owned(), options, cron })
}

fn cron(Field { name, item, .. }: &Field) -> Option<CronEntry> {
    let missed = match item.text("missed")? {
        "skip" => Missed::Skip,
        _ => Missed::Once,
    };
    let data = item.json("data")?.to_string();
    CronEntry::new(name.as_str(), item.text("schedule")?, item.text("type")?, data, missed).ok()
}

pub(super) fn topic(name: &str, item: &Item) -> Option<Topic> {
    Some(Topic { name: name.to_owned(), settings: topic_settings(item)? })
}

/// A topic's settings; also for the check whether they can hold.
pub(crate) fn topic_settings(item: &Item) -> Option<TopicSettings> {
    Some(TopicSettings {
        keep: item.duration("keep")?,
        bytes_keep: item.number("keep-size"),
        compact: item.flag("compact")?,
        bytes_max: item.number("body-max")?,
        key: item.text("key").map(str::to_owned),
        schema: item.json("schema").cloned(),
        compatibility: match item.text("compatibility")? {
            "none" => Compatibility::None,
            "forward" => Compatibility::Forward,
            "full" => Compatibility::Full,
            _ => Compatibility::Backward,
        },
        sealed: item.flag("sealed")?,
    })
}

fn patterns(item: &Item) -> Option<Vec<Pattern>> {
    item.list("topics").iter().map(|item| Pattern::parse(item.as_text()?).ok()).collect()
}

pub(super) fn subscription(name: &str, item: &Item) -> Option<Subscription> {
    let to = match item.get("url") {
        Some(url) => Receiver::Url(Url { full: url.as_text()?.to_owned(), shown: url.shown() }),
        None => Receiver::Service(target_of(item)?),
    };
    let circuit = match item.get("circuit")? {
        Item { value: Value::Off, .. } => None,
        circuit => {
            let (first, cap) = circuit.range("wait")?;
            let failures_max = u32::try_from(circuit.number("failures")?).ok()?;
            Some(CircuitOptions { failures_max, backoff: Backoff::new(first, cap) })
        }
    };
    let Policy { attempts_max, backoff } = policy(item)?;
    Some(Subscription {
        name: name.to_owned(),
        topics: patterns(item)?,
        to,
        mode: match item.text("mode")? {
            "binary" => Mode::Binary,
            _ => Mode::Structured,
        },
        secrets: match item.list("secret") {
            [] => None,
            secrets => Some(Secrets::new(secrets.iter().filter_map(Item::as_secret)).ok()?),
        },
        filter: item.text("filter").map(str::to_owned),
        start: item.start("start")?,
        lease: item.duration("lease")?,
        attempts_max,
        backoff,
        per_key: u32::try_from(item.number("per-key")?).ok()?,
        in_flight_max: usize::try_from(item.number("in-flight-max")?).ok()?,
        rate: item.rate("rate"),
        circuit,
        dead_letter_topic: item.text("dead-letter-topic").map(str::to_owned),
    })
}

pub(super) fn relay(name: &str, item: &Item, topics: &[Topic], folder: &std::path::Path) -> Option<Relay> {
    let patterns = patterns(item)?;
    let carried = |topic: &&Topic| patterns.iter().any(|pattern| pattern.matches(&topic.name));
    let carried = topics.iter().filter(carried).map(|topic| topic.name.clone()).collect();
    Some(Relay {
        name: name.to_owned(),
        topics: (!patterns.is_empty()).then_some(carried),
        to: StoreAddress::of(item.get("to")?, folder)?,
        start: item.start("start")?,
        batch: usize::try_from(item.number("batch")?).ok()?,
    })
}
