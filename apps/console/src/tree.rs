//! The fan-out of a message: each reader's state under it, and what came after it in the same trace.
//!
//! ```text
//!  order.placed  in topic orders
//!   ├─ mail    done, after 12 ms
//!   └─ stock   waiting for its next attempt, 2 attempts
//!      then, of the same trace
//!       └─ invoice.due  in queue invoices
//!           └─ workers  in a worker's hands
//! ```
//!
//! A message does not say which reader of another caused it: what was stored later in the same trace stands under the
//! whole, in the order of the commits.

use dozen_core::Timestamp;
use dozen_store::{ClaimState, ClaimStatus, Sighting};
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::frame::message_link;
use crate::messages::of_entry;
use crate::trace::Related;
use crate::{Error, format};

/// Messages of the same trace whose readers are looked up.
const CAUSED_MAX: usize = 30;
/// Readers of one message that are shown.
const READERS_MAX: usize = 200;

/// A message in one stream, with its readers.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    id: String,
    kind: String,
    stream: String,
    position: u64,
    stored: Timestamp,
    readers: Vec<Leaf>,
}

/// What one reader has made of it.
#[derive(Debug, Serialize)]
pub(crate) struct Leaf {
    reader: String,
    /// `None` where it has not looked at it, or was not there.
    state: Option<ClaimState>,
    attempts: u32,
    /// From the commit until it ended.
    took_micros: Option<u64>,
    error: Option<String>,
}

/// The message, and what came after it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tree {
    message: Vec<Node>,
    then: Vec<Node>,
}

impl Node {
    fn of(sighting: &Sighting) -> Self {
        let stored = sighting.entry.at;
        let leaf = |(reader, claim): &(String, Option<ClaimStatus>)| Leaf {
            reader: reader.clone(),
            state: claim.as_ref().map(|claim| claim.state),
            attempts: claim.as_ref().map_or(0, |claim| claim.attempts),
            took_micros: claim
                .as_ref()
                .and_then(|claim| claim.ended)
                .map(|ended| u64::try_from(ended.since(stored).as_micros()).unwrap_or(u64::MAX)),
            error: claim
                .as_ref()
                .filter(|claim| claim.state != ClaimState::Done)
                .and_then(|claim| claim.errors.last().map(|failure| failure.error.clone())),
        };
        Self {
            id: sighting.entry.record.id.clone(),
            kind: of_entry(&sighting.entry).kind,
            stream: sighting.stream.clone(),
            position: sighting.entry.position,
            stored,
            readers: sighting.readers.iter().map(leaf).collect(),
        }
    }
}

impl Tree {
    /// Of a message that was seen there, and what is `related` to it.
    pub(crate) async fn grow(
        console: &Console,
        sightings: &[Sighting],
        related: &[Related],
    ) -> Result<Self, Error> {
        let message: Vec<Node> = sightings.iter().map(Node::of).collect();
        let first = message.iter().map(|node| node.position).min().unwrap_or(0);
        let mut then: Vec<Node> = Vec::new();
        for later in related.iter().filter(|later| later.position > first).take(CAUSED_MAX) {
            if then.iter().any(|node| node.id == later.id) {
                continue; // found together with its other streams
            }
            then.extend(console.journal.find(&later.id).await?.iter().map(Node::of));
        }
        then.sort_by_key(|node| node.position);
        Ok(Self { message, then })
    }

    /// Whether there is more to see than one message before one reader.
    fn is_worth_it(&self) -> bool {
        !self.then.is_empty() || self.message.iter().map(|node| node.readers.len()).sum::<usize>() > 1
    }

    pub(crate) fn render(&self) -> Markup {
        html! {
            @if self.is_worth_it() {
                section {
                    h2 { "Fan-out" }
                    div.tree {
                        ul { @for node in &self.message { (branch(node, true)) } }
                        @if !self.then.is_empty() {
                            p.muted.small { "Then, of the same trace" }
                            ul { @for node in &self.then { (branch(node, false)) } }
                        }
                    }
                }
            }
        }
    }
}

fn branch(node: &Node, is_self: bool) -> Markup {
    html! {
        li {
            strong { (node.kind) } " in " (place(&node.stream))
            @if !is_self { " " (message_link(&node.id)) }
            ul {
                @for leaf in node.readers.iter().take(READERS_MAX) { (tip(leaf)) }
                @if let Some(more) = node.readers.len().checked_sub(READERS_MAX) && more > 0 {
                    li.muted { "and " (format::count(more as u64, "reader", "readers")) " more" }
                }
            }
        }
    }
}

/// A stream, as a link to its page.
pub(crate) fn place(stream: &str) -> Markup {
    let (kind, name) = stream.split_once('/').unwrap_or(("", stream));
    // A queue's priorities stand behind its name.
    let name = if kind == "queue" { dozen_queue::name_of(stream).unwrap_or(name) } else { name };
    html! {
        @match kind {
            "queue" | "topic" => { (kind) " " a href={ "/" (kind) "/" (format::encode(name)) } { (name) } }
            _ => span.mono { (stream) },
        }
    }
}

fn tip(leaf: &Leaf) -> Markup {
    let (class, text) = match leaf.state {
        None => ("still", "not looked at"),
        Some(ClaimState::Leased) => ("open", "in a worker's hands"),
        Some(ClaimState::Waiting) => ("open", "waiting for its next attempt"),
        Some(ClaimState::Held) => ("still", "held behind its key"),
        Some(ClaimState::Parked) => ("parked", "a dead letter"),
        Some(ClaimState::Done) => ("done", "done"),
        Some(ClaimState::Dropped) => ("dropped", "dropped"),
    };
    html! {
        li class={ "leaf " (class) } {
            strong { (leaf.reader) } " " (text)
            @if let Some(took) = leaf.took_micros { " after " (format::span(std::time::Duration::from_micros(took))) }
            @if leaf.attempts > 1 { ", " (leaf.attempts) " attempts" }
            @if let Some(error) = &leaf.error { p.detail { (error) } }
        }
    }
}
