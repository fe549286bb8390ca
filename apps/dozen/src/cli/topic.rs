//! `dozen topic`: what was published, who has heard of it, and the way of one message.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use dozen_core::Message;
use dozen_pubsub::Topics;
use dozen_store::{ClaimState, Entry, ReaderStatus, Sighting, Store};

use super::look::{Where, ago, excerpt, known, table};
use crate::Error;
use crate::config::App;

const HELP: &str = "\
Examples:
  dozen topic list
  dozen topic follow orders               what is published, as it comes, one JSON object a line
  dozen topic follow orders -n 100 | jq .data
  dozen topic journey 0197…               where a message went, and what became of it";

/// Looks at topics.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Topic {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the topics and their subscriptions
    List,
    /// Print messages as they are published, until Ctrl-C
    Follow {
        /// The topic
        name: String,
        /// Begin with so many of the last ones
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
        number: u16,
    },
    /// Tell the way of one message: topics, queues, deliveries
    Journey {
        /// The message's id
        id: String,
    },
}

impl Topic {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let verb = self.verb;
        self.place.look(async |app, store| match verb {
            Verb::List => super::print(&list(&app, &store).await?),
            Verb::Follow { name, number } => follow(&app, &store, &name, number.into()).await,
            Verb::Journey { id } => super::print(&journey(&store, &id).await?),
        })
    }
}

async fn list(app: &App, store: &Store) -> Result<String, Error> {
    let (journal, failed) = (store.journal(), || Error::pattern("look at the topics"));
    let streams = journal.streams("topic/").await.map_err(failed())?;
    let readers = journal.readers("topic/").await.map_err(failed())?;
    let now = store.clock().now();
    let mut rows = Vec::new();
    for topic in &app.topics {
        let stream = Topics::stream(&topic.name);
        let published =
            streams.iter().find(|found| found.stream == *stream).map_or(0, |found| found.appended);
        let mut name = Some(vec![topic.name.clone(), published.to_string()]);
        let mut heard: Vec<&ReaderStatus> =
            readers.iter().filter(|reader| reader.stream == *stream).collect();
        heard.sort_by(|a, b| a.reader.cmp(&b.reader));
        for reader in heard {
            // A topic's name stands once, before the first of its subscriptions.
            let mut row = name.take().unwrap_or_else(|| vec![String::new(); 2]);
            let oldest = reader.oldest.map(|oldest| ago(oldest, now)).unwrap_or_default();
            row.extend([reader.reader.clone(), reader.lag().to_string(), reader.parked.to_string(), oldest]);
            rows.push(row);
        }
        rows.extend(name);
    }
    Ok(table(&["TOPIC", "PUBLISHED", "SUBSCRIPTION", "LAG", "DEAD", "OLDEST"], &rows))
}

/// Prints the last messages and then those that come. A wake-up is a hint; asking every second is the net.
async fn follow(app: &App, store: &Store, name: &str, number: usize) -> Result<ExitCode, Error> {
    let names: Vec<&str> = app.topics.iter().map(|topic| topic.name.as_str()).collect();
    known("topic", name, &names)?;
    let (journal, stream) = (store.journal(), Topics::stream(name));
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

async fn journey(store: &Store, id: &str) -> Result<String, Error> {
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
