//! What goes between the services.

use std::time::Duration;

use dozen_core::Backoff;
use dozen_queue::{CronEntry, Missed};

use super::super::item::{Field, Item};
use super::{Target, target_of};

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How long a worker may hold a message.
    pub lease: Duration,
    /// After so many failures a message becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
    /// How long done messages are kept.
    pub keep: Duration,
    /// The longest message.
    pub body_max: u64,
    /// Senders are refused beyond this many waiting messages.
    pub waiting_max: u64,
    /// How many messages of one key are out at a time.
    pub per_key: u32,
    /// How many priorities there are.
    pub priorities: u8,
    /// How long a message may wait before it is dropped.
    pub expire: Option<Duration>,
    /// How many a worker begins in a second.
    pub rate: Option<f64>,
    /// How many a worker holds ready beyond those that it handles.
    pub prefetch: usize,
    /// Whether payloads are sealed in the store.
    pub sealed: bool,
    /// What is sent by the clock.
    pub cron: Vec<CronEntry>,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How long messages are kept.
    pub keep: Duration,
    /// What orders messages.
    pub key: Option<String>,
    /// The longest message.
    pub body_max: u64,
}

/// A subscription that pushes to a service.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// The topics of the file that it hears of; patterns are resolved.
    pub topics: Vec<String>,
    /// Where messages are posted.
    pub to: Target,
    /// Whether a new one begins with all that is kept.
    pub earliest: bool,
    /// How long a delivery may take without a sign of life.
    pub lease: Duration,
    /// After so many failures a message becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
    /// How many are handled at once.
    pub in_flight_max: usize,
    /// The topic that gets dead letters.
    pub dead_letter_topic: Option<String>,
}

fn backoff(item: &Item) -> Option<Backoff> {
    item.range("backoff").map(|(first, cap)| Backoff::new(first, cap))
}

pub(super) fn queue(name: &str, item: &Item) -> Option<Queue> {
    Some(Queue {
        name: name.to_owned(),
        lease: item.duration("lease")?,
        attempts_max: u32::try_from(item.number("attempts-max")?).ok()?,
        backoff: backoff(item)?,
        keep: item.duration("keep")?,
        body_max: item.number("body-max")?,
        waiting_max: item.number("waiting-max")?,
        per_key: u32::try_from(item.number("per-key")?).ok()?,
        priorities: u8::try_from(item.number("priorities")?).ok()?,
        expire: item.duration("expire"),
        rate: item.rate("rate"),
        prefetch: usize::try_from(item.number("prefetch")?).ok()?,
        sealed: item.flag("sealed")?,
        cron: item.get("cron")?.fields().iter().map(cron).collect::<Option<_>>()?,
    })
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
    Some(Topic {
        name: name.to_owned(),
        keep: item.duration("keep")?,
        key: item.text("key").map(str::to_owned),
        body_max: item.number("body-max")?,
    })
}

pub(super) fn subscription(name: &str, item: &Item, topics: &[Topic]) -> Option<Subscription> {
    let patterns: Vec<&str> = item.list("topics").iter().filter_map(Item::as_text).collect();
    let heard = |topic: &&Topic| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => topic.name.starts_with(prefix),
            None => topic.name == *pattern,
        })
    };
    Some(Subscription {
        name: name.to_owned(),
        topics: topics.iter().filter(heard).map(|topic| topic.name.clone()).collect(),
        to: target_of(item)?,
        earliest: item.text("start")? == "earliest",
        lease: item.duration("lease")?,
        attempts_max: u32::try_from(item.number("attempts-max")?).ok()?,
        backoff: backoff(item)?,
        in_flight_max: usize::try_from(item.number("in-flight-max")?).ok()?,
        dead_letter_topic: item.text("dead-letter-topic").map(str::to_owned),
    })
}
