//! `dozen outbox`: the events that transactions left behind, in the order of their commits.

use std::process::ExitCode;

use clap::Subcommand;
use dozen_store::{Entry, Store};

use super::look::{Where, ago, excerpt, table};
use crate::Error;

const HELP: &str = "\
Examples:
  dozen outbox list
  dozen outbox list -n 100
  dozen topic journey 0197…      what became of one of them

With the built-in broker an event is published by the commit of its transaction: nothing waits for a relay.";

/// Looks at the outbox.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Outbox {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the latest events of all topics, in commit order
    List {
        /// How many
        #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
    },
}

impl Outbox {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Verb::List { number } = self.verb;
        self.place.look(async |_, store| super::print(&list(&store, number.into()).await?))
    }
}

async fn list(store: &Store, number: usize) -> Result<String, Error> {
    let (journal, failed) = (store.journal(), || Error::pattern("look at the outbox"));
    let mut events: Vec<(String, Entry)> = Vec::new();
    for status in journal.streams("topic/").await.map_err(failed())? {
        let stream = status.stream.as_str().into();
        let tail = journal.tail(&stream, number).await.map_err(failed())?;
        let topic = status.stream.trim_start_matches("topic/").to_owned();
        events.extend(tail.into_iter().map(|entry| (topic.clone(), entry)));
    }
    events.sort_by_key(|(_, entry)| entry.position);
    let now = store.clock().now();
    let first = events.len().saturating_sub(number);
    let rows: Vec<Vec<String>> = events[first..]
        .iter()
        .map(|(topic, entry)| {
            let record = &entry.record;
            vec![
                entry.position.to_string(),
                ago(entry.at, now),
                topic.clone(),
                record.kind.clone(),
                record.key.clone().unwrap_or_default(),
                record.id.clone(),
                excerpt(&record.data),
            ]
        })
        .collect();
    Ok(table(&["COMMIT", "AGE", "TOPIC", "TYPE", "KEY", "ID", "DATA"], &rows))
}
