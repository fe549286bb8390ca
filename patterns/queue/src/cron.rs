//! Messages by the clock: cron entries of a queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions};
use dozen_core::{Backoff, Message, Timestamp, chain};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::Error;
use dozen_store::{Append, Expect, Op, Put, Record};

use crate::Queue;

/// The longest sleep between two looks at the clock, which may be set meanwhile.
const LOOK: Duration = Duration::from_secs(30);

/// Between two attempts at a store that does not answer.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(10) };

/// What becomes of a time at which nobody was there to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// It is made up for, once, however many were missed.
    #[default]
    Once,
    /// It is left out.
    Skip,
}

/// One line of a schedule.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    schedule: Crontab,
    kind: String,
    data: Vec<u8>,
    missed: Missed,
}

/// A schedule that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` is no schedule: {problem}; five fields are wanted, and a time zone if it is not UTC: `0 5 * * 1-5 Europe/Berlin`"
)]
pub struct CronError {
    text: String,
    problem: String,
}

impl CronError {
    /// What is wrong, without the text.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Entry {
    /// Sends a message of type `kind` with the JSON payload `data` by `schedule`: the five fields of crontab(5), and the
    /// name of a time zone if it is not UTC. `name` tells it from the queue's other entries.
    pub fn new(
        name: impl Into<String>,
        schedule: &str,
        kind: impl Into<String>,
        data: impl Into<Vec<u8>>,
        missed: Missed,
    ) -> Result<Self, CronError> {
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let parsed = cronexpr::parse_crontab_with(schedule, options).map_err(|error| CronError {
            text: schedule.to_owned(),
            // Its last line says what is wrong; the ones before repeat the text.
            problem: error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches([' ', '^'])
                .into(),
        })?;
        Ok(Self { name: name.into(), schedule: parsed, kind: kind.into(), data: data.into(), missed })
    }

    /// The first time after `moment`; `None` when there is none, as for the 30th of February.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = jiff::Timestamp::from_microsecond(moment.0).ok()?;
        let next = self.schedule.find_next(moment).ok()?;
        Some(Timestamp(next.timestamp().as_microsecond()))
    }
}

/// Sends the messages of a queue's schedule. Several processes may run it: each time is sent once, because the mark of
/// the time and the message commit together.
pub struct Cron {
    queue: Queue,
    entries: Vec<Entry>,
}

/// When an entry was sent last, as the store remembers it.
struct Last {
    version: Option<u64>,
    moment: Timestamp,
}

impl Cron {
    /// The schedule `entries` of `queue`.
    pub fn new(queue: Queue, entries: Vec<Entry>) -> Self {
        Self { queue, entries }
    }

    fn space(&self) -> Arc<str> {
        format!("cron/{}", self.queue.name()).into()
    }

    /// When `entry` was sent last; an entry that is new counts from now.
    async fn last(&self, entry: &Entry) -> Result<Last, Error> {
        let row = self.queue.store.table(&self.space()).get(&entry.name).await;
        let row = row.map_err(|error| self.queue.failed("look up the schedule of", error))?;
        let read = |row: &dozen_store::TableRow| Timestamp::parse(std::str::from_utf8(&row.value).ok()?);
        Ok(match row {
            Some(row) => Last {
                version: Some(row.version),
                moment: read(&row).unwrap_or_else(|| self.queue.store.clock().now()),
            },
            None => Last { version: None, moment: self.queue.store.clock().now() },
        })
    }

    /// Notes that `entry` has had its time, with its message unless that is left out. `false`: another process was
    /// quicker.
    async fn fire(&self, entry: &Entry, last: &Last, at: Timestamp, send: bool) -> Result<bool, Error> {
        let now = self.queue.store.clock().now();
        let mark = Put {
            space: self.space(),
            key: entry.name.clone(),
            value: at.to_string().into_bytes(),
            expect: last.version.map_or(Expect::Absent, Expect::Version),
            expires: None,
            now,
        };
        let mut ops = vec![Op::Require(mark)];
        if send {
            let mut message = self.queue.message(&entry.kind, entry.data.clone());
            message.subject = Some(entry.name.clone());
            message.time = Some(at);
            ops.push(self.append(message, now));
        }
        match self.queue.store.commit(ops).await {
            Ok(_) => Ok(true),
            Err(dozen_store::Error::Unexpected { .. }) => Ok(false),
            Err(error) => Err(self.queue.failed("send by schedule to", error)),
        }
    }

    fn append(&self, message: Message, at: Timestamp) -> Op {
        let stream = Queue::stream(self.queue.name());
        Op::Append(Append { stream, records: vec![Record::from(message)], at, due: None })
    }

    /// Does what is due, and says when the next is.
    async fn round(&self) -> Result<Option<Timestamp>, Error> {
        let mut soonest: Option<Timestamp> = None;
        for entry in &self.entries {
            let mut last = self.last(entry).await?;
            if last.version.is_none() {
                // From now on a restart knows what it missed.
                self.fire(entry, &last, last.moment, false).await?;
                last = self.last(entry).await?;
            }
            let now = self.queue.store.clock().now();
            let Some(mut next) = entry.next_after(last.moment) else { continue };
            if next <= now {
                let due = latest(entry, next, now);
                let late = now.since(due) > LOOK * 2;
                self.fire(entry, &last, due, !(late && entry.missed == Missed::Skip)).await?;
                let Some(following) = entry.next_after(due) else { continue };
                next = following;
            }
            soonest = Some(soonest.map_or(next, |soonest| soonest.min(next)));
        }
        Ok(soonest)
    }
}

/// The latest of an entry's times up to `now`, `first` being one. Looks at a bounded number: a process that was away for
/// a year must not count its minutes.
fn latest(entry: &Entry, first: Timestamp, now: Timestamp) -> Timestamp {
    let mut due = first;
    for _ in 0..1_000 {
        match entry.next_after(due).filter(|next| *next <= now) {
            Some(next) => due = next,
            None => return due,
        }
    }
    now
}

#[async_trait]
impl Service for Cron {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut failures = 0;
        loop {
            let wait = match self.round().await {
                Ok(next) => {
                    failures = 0;
                    let now = self.queue.store.clock().now();
                    next.map_or(LOOK, |next| next.since(now).clamp(Duration::from_millis(1), LOOK))
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(queue = self.queue.name(), error = chain(&error), "schedule waits");
                    AGAIN.delay(failures, self.queue.ids.random())
                }
            };
            tokio::select! {
                () = stop.soft.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dozen_core::{Clock, Ids, ManualClock};
    use dozen_memory::Memory;
    use dozen_store::Store;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn entry(schedule: &str, missed: Missed) -> Entry {
        Entry::new("nightly", schedule, "report.due", "{}", missed).unwrap()
    }

    #[test]
    fn a_schedule_knows_its_zone_and_a_wrong_one_says_why() {
        let summer = entry("30 2 * * * Europe/Berlin", Missed::Once);
        assert_eq!(summer.next_after(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T00:30:00Z")));
        assert_eq!(summer.next_after(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T01:30:00Z")));
        let error = Entry::new("n", "61 * * * *", "t", "", Missed::Once).unwrap_err().to_string();
        assert!(error.contains("`61 * * * *`") && error.contains("five fields"), "{error}");
    }

    async fn sent(missed: Missed) -> u64 {
        let clock = Arc::new(ManualClock::new(at("2026-11-01T12:00:00Z")));
        let store = Store::new(Memory::new(), clock.clone());
        let ids = Ids::new(clock.clone(), 1);
        let queue = Queue::open(&store, "reports", ids).await.unwrap();
        let cron = || Cron::new(queue.clone(), vec![entry("0 5 * * *", missed)]);
        // Two processes share the schedule.
        let (one, other) = (cron(), cron());
        assert_eq!(one.round().await.unwrap(), Some(at("2026-11-02T05:00:00Z")));
        clock.set(at("2026-11-02T05:00:00Z"));
        one.round().await.unwrap();
        other.round().await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), 1);
        // Nobody was there for three days.
        clock.set(at("2026-11-05T09:00:00Z"));
        other.round().await.unwrap();
        assert_eq!(one.round().await.unwrap(), Some(at("2026-11-06T05:00:00Z")));
        assert!(clock.now() > at("2026-11-05T05:00:00Z"));
        queue.depth().await.unwrap()
    }

    #[tokio::test]
    async fn each_time_is_sent_once_and_what_was_missed_as_asked() {
        assert_eq!(sent(Missed::Once).await, 2);
        assert_eq!(sent(Missed::Skip).await, 1);
    }
}
