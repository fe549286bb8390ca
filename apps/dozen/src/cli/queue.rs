//! `dozen queue`: what waits, what failed, and another try for it.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use dozen_queue::{Queue as Pattern, READER};
use dozen_store::{ClaimState, Entry, Journal, ReaderStatus, Revision, Store};

use super::look::{Where, ago, excerpt, known, table};
use crate::Error;
use crate::config::App;

const HELP: &str = "\
Examples:
  dozen queue list
  dozen queue peek invoices               what is next
  dozen queue peek invoices --dead        what was given up, and why
  dozen queue redrive invoices            hand all dead letters out again
  dozen queue redrive invoices --id 0197… only this one
  dozen queue purge invoices --dead       forget the dead letters; what they held back goes on";

/// No command acts on more messages than this at once.
const LIMIT: usize = 10_000;

/// Looks at queues.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Queue {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the queues with what is in them
    List,
    /// Show messages without taking them
    Peek {
        /// The queue
        name: String,
        /// Show what was given up, with its errors
        #[arg(long)]
        dead: bool,
        /// How many
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
    },
    /// Hand dead letters out again, with their attempts counted anew
    Redrive {
        /// The queue
        name: String,
        /// Only the message of this id; may be given several times
        #[arg(long)]
        id: Vec<String>,
    },
    /// Forget messages for good
    Purge {
        /// The queue
        name: String,
        /// The dead letters; nothing else can be purged
        #[arg(long, required = true)]
        dead: bool,
        /// Only the message of this id; may be given several times
        #[arg(long)]
        id: Vec<String>,
    },
}

impl Queue {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let verb = self.verb;
        let text = self.place.look(async |app, store| match verb {
            Verb::List => list(&app, &store).await,
            Verb::Peek { name, dead: true, number } => peek_dead(&app, &store, &name, number.into()).await,
            Verb::Peek { name, dead: false, number } => peek(&app, &store, &name, number.into()).await,
            Verb::Redrive { name, id } => {
                let count = revise(&app, &store, &name, &id, Revision::Redrive).await?;
                Ok(format!("{count} handed out again\n"))
            }
            Verb::Purge { name, id, .. } => {
                let count = revise(&app, &store, &name, &id, Revision::Discard).await?;
                Ok(format!("{count} forgotten\n"))
            }
        })?;
        super::print(&text)
    }
}

async fn list(app: &App, store: &Store) -> Result<String, Error> {
    let found = store.journal().readers("queue/").await.map_err(Error::pattern("look at the queues"))?;
    let found: Vec<ReaderStatus> = found.into_iter().filter(|reader| reader.reader == READER).collect();
    let now = store.clock().now();
    let row = |name: &str, reader: Option<&ReaderStatus>| {
        let count = |count: fn(&ReaderStatus) -> u64| reader.map_or(0, count).to_string();
        vec![
            name.to_owned(),
            count(|reader| reader.fresh),
            count(|reader| reader.leased),
            count(|reader| reader.waiting),
            count(|reader| reader.held),
            count(|reader| reader.parked),
            reader.and_then(|reader| reader.oldest).map(|oldest| ago(oldest, now)).unwrap_or_default(),
        ]
    };
    let declared = app.queues.iter().map(|queue| {
        let stream = Pattern::stream(&queue.name);
        row(&queue.name, found.iter().find(|reader| reader.stream == *stream))
    });
    // What is in the store and no longer in the file must not be forgotten.
    let left = found.iter().filter_map(|reader| {
        let name = reader.stream.strip_prefix("queue/")?;
        let declared = app.queues.iter().any(|queue| queue.name == name);
        (!declared).then(|| row(&format!("{name} (not in the file)"), Some(reader)))
    });
    let rows: Vec<Vec<String>> = declared.chain(left).collect();
    Ok(table(&["QUEUE", "NEW", "WORKING", "RETRYING", "HELD", "DEAD", "OLDEST"], &rows))
}

fn declared(app: &App, name: &str) -> Result<(Arc<str>, Arc<str>), Error> {
    let names: Vec<&str> = app.queues.iter().map(|queue| queue.name.as_str()).collect();
    known("queue", name, &names)?;
    Ok((Pattern::stream(name), READER.into()))
}

async fn peek(app: &App, store: &Store, name: &str, number: usize) -> Result<String, Error> {
    let (stream, reader) = declared(app, name)?;
    let (journal, failed) = (store.journal(), || Error::pattern(format!("look into queue `{name}`")));
    let mut rows = Vec::new();
    for (state, step) in
        [(ClaimState::Leased, "working"), (ClaimState::Waiting, "retrying"), (ClaimState::Held, "held")]
    {
        for (claim, entry) in journal.claims(&stream, &reader, state, 0, number).await.map_err(failed())? {
            rows.extend(entry.map(|entry| row(&entry, step, claim.attempts)));
        }
    }
    let fresh = fresh(&journal, &stream, &reader, number).await.map_err(failed())?;
    rows.extend(fresh.iter().map(|entry| row(entry, "new", 0)));
    rows.truncate(number);
    Ok(table(&["POSITION", "STATE", "ATTEMPTS", "ID", "TYPE", "KEY", "DATA"], &rows))
}

/// What the reader has not looked at yet.
async fn fresh(
    journal: &Journal,
    stream: &Arc<str>,
    reader: &str,
    number: usize,
) -> Result<Vec<Entry>, dozen_store::Error> {
    let readers = journal.readers(stream).await?;
    let mine = readers.iter().find(|status| *status.stream == **stream && status.reader == reader);
    journal.read(stream, mine.map_or(0, |status| status.position), number).await
}

fn row(entry: &Entry, step: &str, attempts: u32) -> Vec<String> {
    vec![
        entry.position.to_string(),
        step.to_owned(),
        attempts.to_string(),
        entry.record.id.clone(),
        entry.record.kind.clone(),
        entry.record.key.clone().unwrap_or_default(),
        excerpt(&entry.record.data),
    ]
}

async fn peek_dead(app: &App, store: &Store, name: &str, number: usize) -> Result<String, Error> {
    let (stream, reader) = declared(app, name)?;
    let claims = store.journal().claims(&stream, &reader, ClaimState::Parked, 0, number).await;
    let claims = claims.map_err(Error::pattern(format!("look into queue `{name}`")))?;
    let now = store.clock().now();
    let mut text = String::new();
    for (claim, entry) in claims {
        let Some(entry) = entry else { continue };
        let ended =
            claim.ended.map(|ended| format!(", given up {} ago", ago(ended, now))).unwrap_or_default();
        let record = &entry.record;
        text.push_str(&format!("{}  {}  {} attempts{ended}\n", record.id, record.kind, claim.attempts));
        text.push_str(&format!("  data   {}\n", excerpt(&record.data)));
        for failure in &claim.errors {
            text.push_str(&format!("  error  {}  {}\n", failure.at, excerpt(failure.error.as_bytes())));
        }
    }
    Ok(if text.is_empty() { format!("queue `{name}` has no dead letters\n") } else { text })
}

async fn revise(
    app: &App,
    store: &Store,
    name: &str,
    ids: &[String],
    revision: Revision,
) -> Result<u64, Error> {
    let (stream, reader) = declared(app, name)?;
    let (journal, failed) =
        (store.journal(), || Error::pattern(format!("revise dead letters of queue `{name}`")));
    let mut positions = Vec::new();
    for id in ids {
        let sightings = journal.find(id).await.map_err(failed())?;
        let sighting = sightings.iter().find(|sighting| *sighting.stream == *stream);
        match sighting {
            Some(sighting) => positions.push(sighting.entry.position),
            None => return Err(Error::Usage(format!("queue `{name}` has no message `{id}`"))),
        }
    }
    journal.revise(&stream, &reader, positions, LIMIT, revision).await.map_err(failed())
}
