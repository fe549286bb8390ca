//! `dozen outbox`: the events that transactions left behind, in the order of their commits; and sending them again.

use std::io::IsTerminal as _;
use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::Subcommand;
use dozen_outbox::{Destination, Outbox as Pattern, Replay};
use dozen_store::{Entry, Store};

use super::args::Moment;
use super::look::{Look, Where, ago, excerpt, table};
use crate::Error;

const HELP: &str = "\
Examples:
  dozen outbox list
  dozen outbox list -n 100
  dozen outbox replay orders --since 2h --type order.placed --reason 'stock was restored' --dry-run
  dozen outbox replay orders --key 17 --fresh-ids --reason 'mails were lost'
  dozen outbox audit             who sent what again, when and why
  dozen topic journey 0197…      what became of one of them

With the built-in broker an event is published by the commit of its transaction: nothing waits for a relay.
A replay publishes again, for all subscriptions; `dozen topic replay` lets one of them hear again.
Inboxes drop what they have seen, unless --fresh-ids makes new messages of it.";

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
    /// Publish history again; who asked for it and why is written down
    Replay(Again),
    /// List who sent what again, when and why
    Audit {
        /// How many entries
        #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        number: u16,
    },
}

/// Which history, and where to.
#[derive(Debug, clap::Args)]
struct Again {
    /// From which topic
    topic: String,
    /// To which topic; the same without it
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// Only what was stored at this moment or later, or at most so long ago
    #[arg(long, value_name = "MOMENT")]
    since: Option<Moment>,
    /// Only what was stored before this moment, or longer ago than this
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Only this key
    #[arg(long)]
    key: Option<String>,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// At most so many, the oldest first
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// How many a second, at most
    #[arg(long, default_value = "1000")]
    rate: NonZeroU32,
    /// New ids instead of the old ones, so that inboxes take them once more
    #[arg(long)]
    fresh_ids: bool,
    /// Only say how many are meant
    #[arg(long)]
    dry_run: bool,
    /// Why; it stands in the audit
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Who asks for it; you without it
    #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true)]
    by: String,
}

impl Outbox {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let verb = self.verb;
        self.place.look(async |look| {
            super::print(&match verb {
                Verb::List { number } => list(&look.store, number.into()).await?,
                Verb::Replay(again) => again.run(&look).await?,
                Verb::Audit { number } => audit(&look, number.into()).await?,
            })
        })
    }
}

fn outbox(look: &Look) -> Pattern {
    Pattern::new(&look.store, "/outbox", look.ids.clone()).with_keys(look.app.keys.clone())
}

impl Again {
    async fn run(self, look: &Look) -> Result<String, Error> {
        let now = look.now();
        let to = self.to.unwrap_or_else(|| self.topic.clone());
        let reason = self.reason.unwrap_or_else(|| "a dry run".into());
        let replay = Replay {
            to: Destination::Topic(to),
            since: self.since.map(|since| since.past(now)),
            until: self.until.map(|until| until.past(now)),
            key: self.key,
            kind: self.kind,
            limit: self.limit,
            per_second: self.rate,
            fresh_ids: self.fresh_ids,
            dry_run: self.dry_run,
            ..Replay::new(&self.topic, self.by, reason)
        };
        let (outbox, failed) = (outbox(look), || Error::pattern(format!("replay topic `{}`", self.topic)));
        if !replay.dry_run && std::io::stderr().is_terminal() {
            // What is meant is counted first: whoever waits can tell for how long.
            let meant =
                outbox.replay(&Replay { dry_run: true, ..replay.clone() }).await.map_err(failed())?.matched;
            eprintln!("sending {meant}, {} a second at most", self.rate);
        }
        let replayed = outbox.replay(&replay).await.map_err(failed())?;
        Ok(match replay.dry_run {
            true => format!("{} would be sent again\n", replayed.matched),
            false => format!("{} sent again; the audit calls it {}\n", replayed.matched, replayed.replay),
        })
    }
}

async fn audit(look: &Look, number: usize) -> Result<String, Error> {
    let entries = outbox(look).audit(number).await.map_err(Error::pattern("read the audit"))?;
    let row = |entry: dozen_outbox::Audit| {
        let to = if entry.to == entry.topic {
            entry.topic.clone()
        } else {
            format!("{} to {}", entry.topic, entry.to)
        };
        let step = format!("{:?}", entry.step).to_lowercase();
        let step = entry
            .error
            .as_ref()
            .map_or(step.clone(), |error| format!("{step}: {}", excerpt(error.as_bytes())));
        vec![
            entry.at.to_string(),
            entry.replay,
            entry.by,
            to,
            entry.sent.to_string(),
            step,
            excerpt(entry.reason.as_bytes()),
        ]
    };
    let rows: Vec<Vec<String>> = entries.into_iter().map(row).collect();
    Ok(table(&["WHEN", "REPLAY", "BY", "TOPIC", "SENT", "STEP", "WHY"], &rows))
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
