//! Counters as server-sent events: one JSON object each time that something has changed.
//!
//! ```text
//!  journal.changes ×n ─► wake ─► look: one shared snapshot, four a second at most ─► differs? ─► data: {…}
//!        each second ─────┘
//! ```
//!
//! A page that follows waits on the hints of all streams. Hints are hints, and a settled message need not give one, so
//! it also looks once a second; so it does for what no stream tells, because this process knows it alone: requests,
//! translators, features. However many pages follow, the store is asked four times a second at most, because the
//! snapshot is shared; and not at all while none does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dozen_queue::name_of;
use dozen_store::{Changes, Journal, ReaderStatus, StreamStatus};
use futures::future::select_all;
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::console::{Console, Shared};
use crate::serve::Problem;
use crate::{Error, overview};

/// Pages that may follow at one time.
const FOLLOWERS_MAX: usize = 32;
/// Between two looks into the store.
const PACE: Duration = Duration::from_millis(250);
/// The net below the hints.
const NET: Duration = Duration::from_secs(1);
/// Streams whose hints are waited for; changes of the others are seen by the net.
const WATCHED_MAX: usize = 256;
/// A sign of life for proxies, and what shows that the page is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Readers whose numbers one page is sent.
const READERS_MAX: usize = 1_000;

/// Numbers of this process alone, by name, as far as a page follows what begins so.
type Numbers = fn(&Console, &str) -> Vec<(String, u64)>;
/// What stands beside the streams.
const BESIDE: [Numbers; 3] = [crate::feature::numbers, crate::gateway::numbers, crate::translator::numbers];

/// The readers and streams at one moment.
pub(crate) struct Snapshot {
    taken: Instant,
    pub(crate) readers: Vec<ReaderStatus>,
    pub(crate) streams: Vec<StreamStatus>,
}

/// What the pages that follow share.
pub(crate) struct Live {
    journal: Journal,
    latest: Mutex<Option<Arc<Snapshot>>>,
    places: Arc<Semaphore>,
}

impl Live {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, latest: Mutex::default(), places: Arc::new(Semaphore::new(FOLLOWERS_MAX)) }
    }

    /// A snapshot that was taken at `since` or later; waits its turn where the last one is too young.
    async fn look(&self, since: Instant) -> Result<Arc<Snapshot>, Error> {
        let mut latest = self.latest.lock().await;
        if let Some(snapshot) = &*latest {
            if snapshot.taken >= since {
                return Ok(snapshot.clone());
            }
            tokio::time::sleep_until(snapshot.taken + PACE).await;
        }
        let taken = Instant::now();
        let readers = self.journal.readers("").await?;
        let streams = self.journal.streams("").await?;
        let snapshot = Arc::new(Snapshot { taken, readers, streams });
        *latest = Some(snapshot.clone());
        Ok(snapshot)
    }
}

/// What a page is sent.
#[derive(Debug, Serialize)]
struct News {
    /// Another number: something has changed that the page may show.
    version: u64,
    /// The counters, by the names that the page gave them.
    numbers: BTreeMap<String, u64>,
}

impl News {
    fn of(console: &Console, snapshot: &Snapshot, prefix: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut numbers = overview::totals(console, snapshot);
        for status in snapshot.streams.iter().filter(|status| status.stream.starts_with(prefix)) {
            (&status.stream, status.appended).hash(&mut hasher);
            if !prefix.is_empty() {
                *numbers.entry(format!("{}:appended", named(&status.stream))).or_default() += status.appended;
            }
        }
        let followed = snapshot.readers.iter().filter(|status| status.stream.starts_with(prefix));
        for status in followed.take(READERS_MAX) {
            let counters = counters(status);
            (&status.stream, &status.reader, status.position, &counters).hash(&mut hasher);
            if !prefix.is_empty() {
                for (name, value) in counters {
                    *numbers.entry(key(&named(&status.stream), &status.reader, name)).or_default() += value;
                }
            }
        }
        numbers.extend(BESIDE.iter().flat_map(|beside| beside(console, prefix)));
        numbers.hash(&mut hasher);
        Self { version: exact(hasher), numbers }
    }
}

/// As much of a hash as a number of JavaScript holds exactly.
fn exact(hasher: DefaultHasher) -> u64 {
    hasher.finish() >> (64 - 53)
}

/// What a page shows as one number, which is another one when the page is.
pub(crate) fn version(shown: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    // What has no JSON has no twin either.
    serde_json::to_string(shown).unwrap_or_default().hash(&mut hasher);
    exact(hasher)
}

fn counters(status: &ReaderStatus) -> [(&'static str, u64); 6] {
    [
        ("fresh", status.fresh),
        ("leased", status.leased),
        ("waiting", status.waiting),
        ("held", status.held),
        ("parked", status.parked),
        ("lag", status.lag()),
    ]
}

/// The stream as pages know it: a queue's priorities are one.
fn named(stream: &str) -> Cow<'_, str> {
    match name_of(stream) {
        Some(name) => format!("queue/{name}").into(),
        None => stream.into(),
    }
}

/// The name under which a page and the events know a counter.
pub(crate) fn key(stream: &str, reader: &str, counter: &str) -> String {
    format!("{stream}:{reader}:{counter}")
}

/// What to follow.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Follow {
    /// The beginning of the streams' names; empty for the totals alone.
    of: String,
}

/// One page that follows.
struct Follower {
    console: Arc<Console>,
    prefix: String,
    watched: BTreeMap<String, Changes>,
    sent: Option<u64>,
    _place: OwnedSemaphorePermit,
}

pub(crate) async fn events(State(console): Shared, Query(follow): Query<Follow>) -> Response {
    let Ok(place) = console.live.places.clone().try_acquire_owned() else {
        return Problem(Error::Crowded(FOLLOWERS_MAX)).into_response();
    };
    let follower =
        Follower { console, prefix: follow.of, watched: BTreeMap::new(), sent: None, _place: place };
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

impl Follower {
    /// The next event, when there is one. `None` when the process stops.
    async fn next(&mut self) -> Option<Event> {
        let stop = self.console.stop.soft.clone();
        tokio::select! { biased;
            () = stop.cancelled() => None,
            event = self.news() => Some(event),
        }
    }

    async fn news(&mut self) -> Event {
        loop {
            if self.sent.is_some() {
                self.changed().await;
            }
            let news = match self.console.live.look(Instant::now()).await {
                Ok(snapshot) => {
                    self.watch(&snapshot);
                    News::of(&self.console, &snapshot, &self.prefix)
                }
                Err(error) => {
                    tracing::debug!(error = error.text(), "cannot look into the store; trying again");
                    tokio::time::sleep(NET).await;
                    continue;
                }
            };
            if self.sent != Some(news.version) {
                self.sent = Some(news.version);
                // Numbers and names in a map are always JSON.
                return Event::default().json_data(news).unwrap_or_default();
            }
        }
    }

    /// Waits for a hint, or for the net.
    async fn changed(&mut self) {
        let hints: Vec<_> = self.watched.values_mut().map(|changes| Box::pin(changes.changed())).collect();
        let hint = async {
            if hints.is_empty() {
                std::future::pending::<()>().await;
            }
            // An engine that closed gives no more hints, and says so again and again: leave it to the net.
            if select_all(hints).await.0.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(NET, hint).await;
    }

    /// Follows the streams of `snapshot`, the new ones too.
    fn watch(&mut self, snapshot: &Snapshot) {
        for status in snapshot.streams.iter().filter(|status| status.stream.starts_with(&self.prefix)) {
            if self.watched.len() < WATCHED_MAX && !self.watched.contains_key(&status.stream) {
                self.watched.insert(status.stream.clone(), self.console.journal.changes(&status.stream));
            }
        }
    }
}
