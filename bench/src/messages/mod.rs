//! Durable messages, side by side: each caller adds and waits for its acknowledgement ([`Work::Append`]), or the same with
//! consumers that lease and acknowledge ([`Work::Cycle`]).
//!
//! ```text
//! round ──► every peer is started: own folder on the same disk, free ports
//!             └─► load: work × payload × callers
//!                   └─► each peer in turn, the first one another in each round:
//!                         warm up · measure · forget            one Peer trait, one load.rs
//! ```
//!
//! All of them run in one round, on one machine, for the same time, from one process with one client each: their own
//! clients, or for Redis one that does no more than is needed. What an acknowledgement promises stands beside the
//! figures, because syncing is most of the work. Servers that are not measured at the moment idle.
//!
//! A new peer is a file with a [`Peer`] and a line in [`PEERS`]; a new engine of ours is an address in [`ours`].

mod bars;
mod catch_up;
mod fanout;
mod load;
mod nats;
mod on_postgres;
mod ours;
mod outbox;
mod peer;
mod postgres;
mod rabbitmq;
mod redis;
mod server;

use std::path::Path;

use dozen_core::chain;
use load::{Load, Sample};
use peer::{Peer, Start, Started, Work};

use crate::bar::Measured;
use crate::{Context, Failure};

pub(crate) use catch_up::measure as measure_catch_up;
pub(crate) use fanout::{measure as measure_fanout, under_test as fanout_under_test};
pub(crate) use on_postgres::measure as measure_on_postgres;
pub(crate) use outbox::measure as measure_outbox;

/// One that takes part.
struct Entry {
    /// Its name in figures and for `--peer`.
    name: &'static str,
    /// Whether an acknowledgement means that the message is synced to disk.
    is_synced: bool,
    start: Start,
}

impl Entry {
    fn is_ours(&self) -> bool {
        ["sqlite", "sqlite-normal", "postgres"].contains(&self.name)
    }
}

const PEERS: &[Entry] = &[
    Entry { name: "sqlite", is_synced: true, start: ours::sqlite },
    Entry { name: "redis", is_synced: true, start: redis::start },
    Entry { name: "redis-shared", is_synced: true, start: redis::start_shared },
    Entry { name: "rabbitmq", is_synced: true, start: rabbitmq::start },
    Entry { name: "nats-sync", is_synced: true, start: nats::start_sync },
    Entry { name: "postgres", is_synced: true, start: ours::postgres },
    Entry { name: "postgres-rows", is_synced: true, start: postgres::start },
    Entry { name: "sqlite-normal", is_synced: false, start: ours::sqlite_normal },
    Entry { name: "nats", is_synced: false, start: nats::start },
    Entry { name: "nats-shared", is_synced: false, start: nats::start_shared },
];
/// How the names of those end whose callers share a connection, where each could have one.
const SHARED: &str = "-shared";

/// What is measured, in this order.
fn loads() -> impl Iterator<Item = Load> {
    let payloads = [256, 1024];
    [Work::Append, Work::Cycle].into_iter().flat_map(move |work| {
        payloads.into_iter().flat_map(move |payload| {
            [1, 16, 128].into_iter().map(move |callers| Load { work, payload, callers })
        })
    })
}

/// What the rounds gave.
struct Results {
    /// What each peer promises, or why it was skipped.
    peers: Vec<(&'static Entry, Result<String, String>)>,
    /// One sample a round.
    samples: Vec<(Load, &'static str, Vec<Sample>)>,
}

impl Results {
    fn of(&self, load: Load, peer: &str) -> &[Sample] {
        let found = self.samples.iter().find(|(of, name, _)| *of == load && *name == peer);
        found.map_or(&[], |(_, _, samples)| samples)
    }

    fn add(&mut self, load: Load, peer: &'static str, sample: Sample) {
        match self.samples.iter_mut().find(|(of, name, _)| *of == load && *name == peer) {
            Some((_, _, samples)) => samples.push(sample),
            None => self.samples.push((load, peer, vec![sample])),
        }
    }
}

/// Runs the rounds and compares within each.
pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    if loads().all(|load| !context.is_wanted(&load.name())) {
        return Ok(Measured::of(Vec::new()));
    }
    let folder = crate::process::folder_on_disk()?;
    let mut results = Results { peers: Vec::new(), samples: Vec::new() };
    for number in 0..context.rounds {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let round = folder.path().join(number.to_string());
        runtime.block_on(async {
            // Servers are in groups of their own, which no signal to us reaches: they are stopped by being dropped.
            tokio::select! {
                outcome = round_of(context, &round, number, &mut results) => outcome,
                () = interrupted() => Err("interrupted".into()),
            }
        })?;
        drop(runtime);
        std::fs::remove_dir_all(&round)?;
    }
    Ok(bars::compare(&results))
}

/// Returns when somebody wants us to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut end) => tokio::select! {
            _ = end.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Starts everybody, runs each load against each, and stops them.
async fn round_of(
    context: &Context,
    folder: &Path,
    number: usize,
    results: &mut Results,
) -> Result<(), Failure> {
    let mut peers: Vec<(&'static Entry, Box<dyn Peer>)> = Vec::new();
    for entry in PEERS.iter().filter(|entry| context.is_peer_wanted(entry.name)) {
        let own = folder.join(entry.name);
        std::fs::create_dir_all(&own)?;
        let started =
            (entry.start)(&own).await.map_err(|error| format!("{}: {}", entry.name, chain(&*error)))?;
        let what = match started {
            Started::Runs(peer) => {
                let promise = peer.promise();
                peers.push((entry, peer));
                Ok(promise)
            }
            Started::Skipped(why) => Err(why),
        };
        if number == 0 {
            match &what {
                Ok(promise) => println!("peer {}: {promise}", entry.name),
                Err(why) => println!("skipped {}: {why}", entry.name),
            }
            results.peers.push((entry, what));
        }
    }
    for load in loads().filter(|load| context.is_wanted(&load.name())) {
        let mut line = format!("  round {} of {}, {}:", number + 1, context.rounds, load.name());
        let mut others: f64 = 0.0;
        // Nobody is always the first, on a disk that has just been written to or has just been quiet.
        for turn in 0..peers.len() {
            let (entry, peer) = &peers[(turn + number) % peers.len()];
            if entry.name.ends_with(SHARED) && load.callers == 1 {
                continue; // one caller shares with nobody
            }
            // What the one before has not synced is not to be written while the next one syncs.
            tokio::task::spawn_blocking(rustix::fs::sync).await?;
            let sample = load::run(&**peer, load, context.length)
                .await
                .map_err(|error| format!("{} with {}: {}", entry.name, load.name(), chain(&*error)))?;
            line += &format!("  {} {:.0}/s", entry.name, sample.rate);
            others = others.max(sample.others);
            results.add(load, entry.name, sample);
        }
        eprintln!("{line}  (all else: up to {:.0} % of the machine)", 100.0 * others);
    }
    Ok(())
}
