//! A topic as server-sent events.
//!
//! ```text
//! id: 17                                  the position: what a browser sends as `Last-Event-ID` when it reconnects
//! data: {"specversion":"1.0","id":…}      one line, the CloudEvent
//! ```
//!
//! The stream is pulled: what comes next is read from the journal when the client has taken what came before, one page at
//! a time. So a slow client costs a page of memory and delays nobody; one that is too slow is cut and told why, and goes
//! on where it was when it reconnects. A comment keeps a quiet stream open and finds clients that are gone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dozen_core::{Message, chain};
use dozen_messaging::{Error, Filter as _, Keyring, Lease, Policy, Settlement, Subscriber as _};
use dozen_openapi::{Asked, Face, Named, Problem, message as view, take};
use dozen_store::{Changes, Entry, Journal};
use futures::Stream;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::filter::Wanted;
use crate::{Subscription, Topics};

/// Messages that are read in one step, and so held for one client.
const PAGE: usize = 16;
/// Between two comments on a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that takes longer for one page is cut.
const SLOW: Duration = Duration::from_secs(30);

/// What the query may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    subscription: Option<String>,
    ack: Option<String>,
    after: Option<u64>,
    filter: Option<String>,
}

/// `GET …/{topic}/events`.
pub(super) async fn events(
    State(state): State<Arc<super::State>>,
    Named(topic): Named<String>,
    Asked(options): Asked<Options>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let waiter = state.face.waiter()?;
    let face = state.face.clone();
    let Some(name) = options.subscription else {
        if options.ack.is_some() {
            return Err(Problem::invalid(
                "query ack",
                "without a `subscription` there is nothing to acknowledge",
            ));
        }
        state.topics.settings(&topic).await?;
        let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        let filter = options.filter.filter(|text| !text.trim().is_empty());
        let filter = filter.map(|text| Wanted::compile("events", &text)).transpose()?;
        let tail = Tail::new(&state.topics, &topic, seen.or(options.after), filter, &face).await?;
        return Ok(streamed(stream(Source::Tail(tail), face, waiter)));
    };
    if options.ack.as_deref() != Some("auto") {
        let why = "say `ack=auto`: what was written to the socket is done; to acknowledge by yourself, use `receive`";
        return Err(Problem::invalid("query ack", why));
    }
    if options.after.is_some() || options.filter.is_some() {
        let why = "`after` and `filter` are those of the subscription: change them with PUT and seek";
        return Err(Problem::invalid("query", why));
    }
    let subscription = state.subscription(&(topic, name)).await?;
    let durable = Durable { subscription, written: Vec::new() };
    Ok(streamed(stream(Source::Durable(durable), face, waiter)))
}

fn streamed(events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (kind, Body::from_stream(events)).into_response()
}

/// Where the events come from.
enum Source {
    Tail(Tail),
    Durable(Durable),
}

impl Source {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        match self {
            Self::Tail(tail) => tail.next().await,
            Self::Durable(durable) => durable.next().await,
        }
    }
}

/// Pieces of the stream until there is none, an error comes, or the process stops.
fn stream(
    source: Source,
    face: Face,
    waiter: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    futures::stream::unfold(Some((source, face, waiter)), async |running| {
        let (mut source, face, waiter) = running?;
        let piece = tokio::select! { biased;
            () = face.closing() => return Some((Ok(cut("the process stops; reconnect")), None)),
            piece = source.next() => piece,
        };
        match piece {
            Ok(Some(piece)) => Some((Ok(piece.into()), Some((source, face, waiter)))),
            Ok(None) => {
                Some((Ok(cut("too slow: a page was not taken in time; reconnect with Last-Event-ID")), None))
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "a stream of events ends");
                Some((Ok(cut("the events cannot be read; reconnect")), None))
            }
        }
    })
}

/// The last event of a stream that is cut: why.
fn cut(reason: &str) -> Bytes {
    format!("event: cut\ndata: {}\n\n", json!({ "reason": reason })).into()
}

fn event(position: u64, message: &Message) -> String {
    format!("id: {position}\ndata: {}\n\n", view(message))
}

/// What is published on a topic, seen by somebody whom nothing is remembered of.
pub(super) struct Tail {
    journal: Journal,
    stream: Arc<str>,
    changes: Changes,
    keys: Option<Keyring>,
    filter: Option<Wanted>,
    /// All up to here has been looked at.
    after: u64,
    /// When the last page was handed to the client.
    handed: Option<Instant>,
}

impl Tail {
    pub(super) async fn new(
        topics: &Topics,
        topic: &str,
        seen: Option<u64>,
        filter: Option<Wanted>,
        face: &Face,
    ) -> Result<Self, Error> {
        let (journal, stream) = (face.store.journal(), Topics::stream(topic));
        let changes = journal.changes(&stream);
        let end = journal.tail(&stream, 1).await.map_err(|error| failed(&stream, error))?;
        let end = end.last().map_or(0, |entry| entry.position);
        // A position beyond the end is one of another store, or of one that was since restored.
        let after = seen.unwrap_or(end).min(end);
        let keys = topics.keys.clone();
        Ok(Self { journal, stream, changes, keys, filter, after, handed: None })
    }

    /// The next piece; `None` for a client that was too slow.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Error> {
        if self.handed.take().is_some_and(|handed| handed.elapsed() > SLOW) {
            return Ok(None);
        }
        let quiet = Instant::now() + KEEP_ALIVE;
        loop {
            self.changes.mark_unchanged();
            let page = self.journal.read(&self.stream, self.after, PAGE).await;
            let page = page.map_err(|error| failed(&self.stream, error))?;
            let is_last = page.len() < PAGE;
            let mut piece = String::new();
            for entry in page {
                self.after = entry.position;
                if let Some(event) = self.shown(entry) {
                    piece.push_str(&event);
                }
            }
            if piece.is_empty() && is_last {
                tokio::select! {
                    changed = self.changes.changed() => if changed.is_err() {
                        tokio::time::sleep_until(quiet).await; // no engine, no hints
                    },
                    () = tokio::time::sleep_until(quiet) => {}
                }
            }
            if piece.is_empty() && Instant::now() >= quiet {
                // The id stands for what a filter passed over, so that nobody looks at it again after a reconnect.
                piece = format!(": still here\nid: {}\n\n", self.after);
            }
            if !piece.is_empty() {
                self.handed = Some(Instant::now());
                return Ok(Some(piece));
            }
        }
    }

    fn shown(&self, entry: Entry) -> Option<String> {
        let position = entry.position;
        let mut message = Message::try_from(entry.record).ok()?;
        if let Some(keys) = &self.keys {
            keys.unseal(&mut message).ok()?;
        }
        let wanted = self.filter.as_ref().is_none_or(|filter| filter.wants(&message));
        wanted.then(|| event(position, &message))
    }
}

fn failed(stream: &str, error: dozen_store::Error) -> Error {
    Error::engine(format!("read `{stream}`"), error)
}

/// A durable subscription, of which is done what was written.
struct Durable {
    subscription: Subscription,
    /// Handed to the connection; written once the next piece is asked for.
    written: Vec<Lease>,
}

impl Durable {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        if !self.written.is_empty() {
            // Whoever writes flushes when it has to wait, so after this the piece before is on its way.
            tokio::task::yield_now().await;
            let done = self.written.drain(..).map(|lease| (lease, Settlement::Done)).collect();
            // A lease that has passed on meanwhile: the message comes again, which is what at least once means.
            self.subscription.settle(done).await?;
        }
        let deliveries = take(&self.subscription, &Policy::default(), PAGE, KEEP_ALIVE).await?;
        if deliveries.is_empty() {
            return Ok(Some(": still here\n\n".to_owned()));
        }
        self.written = deliveries.iter().map(|delivery| delivery.lease).collect();
        let piece = deliveries.iter().map(|delivery| event(delivery.lease.position, &delivery.message));
        Ok(Some(piece.collect()))
    }
}
