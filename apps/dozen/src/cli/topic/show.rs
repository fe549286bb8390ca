//! `dozen topic list`, `follow` and `journey`: what was published, and what became of it.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use dozen_core::Message;
use dozen_messaging::CircuitState;
use dozen_pubsub::{Pattern, SubscriptionStatus, Topics};
use dozen_store::{ClaimState, Entry, Sighting, Store};

use super::super::look::{Look, excerpt, table};
use crate::Error;

/// Each topic, and below it those who hear of it; patterns come last.
pub(super) async fn list(look: &Look) -> Result<String, Error> {
    let (topics, failed) = (look.topics(), || Error::pattern("look at the topics"));
    let subscriptions = topics.subscriptions().await.map_err(failed())?;
    let mut rows = Vec::new();
    for topic in topics.topic_statuses().await.map_err(failed())? {
        let mut head = Some(vec![topic.topic.clone(), topic.published.to_string()]);
        for status in subscriptions.iter().filter(|status| status.topic == topic.topic) {
            // A topic's name stands once, before the first of its subscriptions.
            rows.push(row(head.take().unwrap_or_else(|| vec![String::new(); 2]), status));
        }
        rows.extend(head);
    }
    let wild =
        |status: &&SubscriptionStatus| Pattern::parse(&status.topic).is_ok_and(|pattern| pattern.is_wild());
    for status in subscriptions.iter().filter(wild) {
        rows.push(row(vec![status.topic.clone(), String::new()], status));
    }
    Ok(table(&["TOPIC", "PUBLISHED", "SUBSCRIPTION", "LAG", "DEAD", "BEHIND", "STATE"], &rows))
}

fn row(mut row: Vec<String>, status: &SubscriptionStatus) -> Vec<String> {
    let mut state: Vec<String> = Vec::new();
    state.extend(status.paused.then(|| "paused".to_owned()));
    let circuit = status.circuit.as_ref().filter(|circuit| circuit.state != CircuitState::Closed);
    state.extend(circuit.map(|circuit| {
        format!("receiver away: {}", excerpt(circuit.error.as_deref().unwrap_or_default().as_bytes()))
    }));
    state.extend(status.filter.as_ref().map(|filter| format!("if {}", excerpt(filter.as_bytes()))));
    let behind = status.behind.map(|behind| format!("{}s", behind.as_secs())).unwrap_or_default();
    row.extend([
        status.name.clone(),
        status.lag.to_string(),
        status.dead.to_string(),
        behind,
        state.join("; "),
    ]);
    row
}

/// Prints the last messages and then those that come. A wake-up is a hint; asking every second is the net.
pub(super) async fn follow(look: &Look, name: &str, number: usize) -> Result<ExitCode, Error> {
    look.topics().settings(name).await.map_err(Error::pattern("find the topic"))?;
    let (journal, stream) = (look.store.journal(), Topics::stream(name));
    let failed = || Error::pattern(format!("read topic `{name}`"));
    let mut changes = journal.changes(&stream);
    let mut entries = journal.tail(&stream, number.max(1)).await.map_err(failed())?;
    let mut position = entries.last().map_or(0, |entry| entry.position);
    if number == 0 {
        entries.clear();
    }
    loop {
        for entry in entries {
            position = entry.position;
            let mut line = json(entry);
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                return Ok(ExitCode::SUCCESS); // the reader went away
            }
        }
        entries = journal.read(&stream, position, 100).await.map_err(failed())?;
        if entries.is_empty() {
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        }
    }
}

/// A message as a CloudEvent; one that cannot be read as such, by what is known of it.
fn json(entry: Entry) -> Vec<u8> {
    let (position, id, kind) = (entry.position, entry.record.id.clone(), entry.record.kind.clone());
    match Message::try_from(entry.record) {
        Ok(message) => message.to_json(),
        Err(error) => {
            let unreadable = serde_json::json!({ "id": id, "type": kind, "position": position, "unreadable": error.to_string() });
            unreadable.to_string().into_bytes()
        }
    }
}

pub(super) async fn journey(store: &Store, id: &str) -> Result<String, Error> {
    let found = store.journal().find(id).await.map_err(Error::pattern("follow the message"))?;
    if found.is_empty() {
        let never = "it was never sent, or it is older than its topic or queue keeps it";
        return Err(Error::Usage(format!("no topic and no queue knows the message `{id}`; {never}")));
    }
    Ok(found.iter().map(sighting).collect::<Vec<_>>().join("\n"))
}

fn sighting(seen: &Sighting) -> String {
    let record = &seen.entry.record;
    let mut text = format!("{}  {}  {}\n", seen.entry.at, seen.stream.replacen('/', " ", 1), record.kind);
    text.push_str(&format!("  data  {}\n", excerpt(&record.data)));
    for (reader, claim) in &seen.readers {
        let Some(claim) = claim else {
            text.push_str(&format!("  {reader}: not looked at yet, or finished and forgotten\n"));
            continue;
        };
        let what = match claim.state {
            ClaimState::Leased => "in a worker's hands",
            ClaimState::Waiting => "waiting for its next attempt",
            ClaimState::Held => "held behind another message of its key",
            ClaimState::Parked => "given up: a dead letter",
            ClaimState::Done => "done",
            ClaimState::Dropped => "dropped on purpose",
        };
        let when = claim.ended.or(claim.claimed).map(|moment| format!("{moment}  ")).unwrap_or_default();
        text.push_str(&format!("  {when}{reader}: {what}, {} attempts\n", claim.attempts));
        for failure in &claim.errors {
            text.push_str(&format!("    error  {}  {}\n", failure.at, excerpt(failure.error.as_bytes())));
        }
    }
    text
}
