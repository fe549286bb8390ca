//! The outbox: what an event adds to a transaction that its caller has anyway, and how fast a relay carries to a second store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Ids, SystemClock};
use dozen_lifecycle::{Ready, Service as _, Stop};
use dozen_messaging::Publisher as _;
use dozen_outbox::{Outbox, Relay, RelayOptions, Routes};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::Store;
use dozen_transactions::{Rusqlite, TokioPostgres};

use super::postgres::{DATABASE, Server, connect};
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

/// Transactions in a round, half of them with an event.
const TRANSACTIONS: usize = 4_000;
/// Of them, not counted: caches fill, statements are prepared.
const WARM_UP: usize = 400;
/// Messages that a relay carries, and how many are published at once.
const CARRIED: u64 = 100_000;
const BATCH: u64 = 1_000;
const TOPIC: &str = "orders";
const ORDER: &str = "insert into orders (customer, total) values ($1, $2)";
const ORDERS: &str = "create table orders (customer text not null, total integer not null)";

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    let (mut inside, mut sqlite, mut postgres, mut carried) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..context.rounds {
        let folder = crate::process::folder_on_disk()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let round = format!("  round {} of {}", number + 1, context.rounds);
            if context.is_peer_wanted("sqlite") && context.is_wanted("messages.outbox.sqlite") {
                let times = in_our_transaction(folder.path()).await?;
                eprintln!("{round}, SQLite: {times}");
                inside.push(times);
                let times = in_own_transaction(folder.path()).await?;
                eprintln!("{round}, SQLite by rusqlite: {times}");
                sqlite.push(times);
            }
            if context.is_peer_wanted("postgres") && context.is_wanted("messages.outbox.postgres") {
                let times = on_postgres(folder.path()).await?;
                eprintln!("{round}, PostgreSQL: {times}");
                postgres.push(times);
            }
            if context.is_peer_wanted("sqlite") && context.is_wanted("messages.outbox.relay") {
                let rate = relay(folder.path()).await?;
                eprintln!("{round}, relay: {rate:.0}/s");
                carried.push(rate);
            }
            Ok::<(), Failure>(())
        })?;
    }
    let figure = |name: &str, values: Vec<f64>, unit: &str, target, note: String| {
        (!values.is_empty()).then(|| Figure {
            name: format!("messages.outbox.{name}"),
            measured: median(values),
            unit: unit.into(),
            target,
            note,
        })
    };
    let how = "one caller, one row of its own, synced, and an event of 256 bytes by";
    let figures = [
        figure(
            "sqlite",
            inside.iter().map(|times| times.with / times.without).collect(),
            "x(without)",
            Target::AtMost(1.1),
            format!("{how} the store's own transaction: {}", Times::median(&inside)),
        ),
        figure(
            "sqlite-rusqlite",
            sqlite.iter().map(|times| times.with / times.without).collect(),
            "x(without)",
            Target::AtMost(1.1),
            format!("{how} rusqlite: {}", Times::median(&sqlite)),
        ),
        figure(
            "postgres",
            postgres.iter().map(|times| times.with - times.without).collect(),
            "ms",
            Target::AtMost(0.2),
            format!("{how} tokio-postgres: {}", Times::median(&postgres)),
        ),
        figure(
            "relay",
            carried,
            "/s",
            Target::AtLeast(20_000.0),
            format!(
                "one relay, {CARRIED} messages of 256 bytes from one SQLite file to another, both synced"
            ),
        ),
    ];
    Ok(Measured::of(figures.into_iter().flatten().collect()))
}

/// How long a transaction takes, in milliseconds; medians.
struct Times {
    without: f64,
    with: f64,
}

impl Times {
    /// Splits what was measured in turns: first one without an event, then one with.
    fn of_turns(took: &[Duration]) -> Self {
        let every_other = |first: usize| {
            median(took[WARM_UP + first..].iter().step_by(2).map(|took| took.as_secs_f64() * 1e3).collect())
        };
        Self { without: every_other(0), with: every_other(1) }
    }

    fn median(all: &[Self]) -> Self {
        Self {
            without: median(all.iter().map(|times| times.without).collect()),
            with: median(all.iter().map(|times| times.with).collect()),
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ms with, {:.3} ms without", self.with, self.without)
    }
}

async fn declared(store: &Store) -> Result<Topics, Failure> {
    let topics = Topics::new(store, BTreeMap::from([(TOPIC.to_owned(), TopicOptions::default())]));
    topics.declare().await?;
    Ok(topics)
}

fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), u64::from(std::process::id()))
}

async fn in_our_transaction(folder: &Path) -> Result<Times, Failure> {
    let store = dozen_open::open(&format!("sqlite:{}", folder.join("ours.db").display())).await?;
    declared(&store).await?;
    let outbox = Outbox::new(&store, "/bench", ids());
    store.transaction(async |tx| tx.execute(ORDERS, []).await).await?;
    let mut took = Vec::with_capacity(TRANSACTIONS);
    for turn in 0..TRANSACTIONS {
        let event = (turn % 2 == 1).then(|| outbox.event("order.placed", "x".repeat(256)));
        let start = Instant::now();
        let done = store.transaction(async |tx| {
            tx.execute(ORDER, dozen_store::params!["ann", 12]).await?;
            match event {
                Some(event) => outbox.publish(tx, TOPIC, event).await,
                None => Ok(()),
            }
        });
        done.await?;
        took.push(start.elapsed());
    }
    Ok(Times::of_turns(&took))
}

async fn in_own_transaction(folder: &Path) -> Result<Times, Failure> {
    let path = folder.join("own.db");
    let store = dozen_open::open(&format!("sqlite:{}", path.display())).await?;
    declared(&store).await?;
    let outbox = Outbox::new(&store, "/bench", ids());
    let mut connection = rusqlite::Connection::open(&path)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(ORDERS)?;
    let mut took = Vec::with_capacity(TRANSACTIONS);
    for turn in 0..TRANSACTIONS {
        let event = (turn % 2 == 1).then(|| outbox.event("order.placed", "x".repeat(256)));
        let start = Instant::now();
        let tx = connection.transaction()?;
        tx.prepare_cached(ORDER)?.execute(rusqlite::params!["ann", 12])?;
        if let Some(event) = event {
            outbox.publish_on(&mut Rusqlite(&tx), TOPIC, event).await?;
        }
        tx.commit()?;
        took.push(start.elapsed());
    }
    Ok(Times::of_turns(&took))
}

async fn on_postgres(folder: &Path) -> Result<Times, Failure> {
    let server = Server::start(folder, &[]).await?;
    let store = dozen_open::open(&server.postgres.url(DATABASE)).await?;
    declared(&store).await?;
    let outbox = Outbox::new(&store, "/bench", ids());
    let mut client = connect(&server.postgres.url(DATABASE)).await?;
    client.batch_execute(ORDERS).await?;
    let order = client.prepare(ORDER).await?;
    let mut took = Vec::with_capacity(TRANSACTIONS);
    for turn in 0..TRANSACTIONS {
        let event = (turn % 2 == 1).then(|| outbox.event("order.placed", "x".repeat(256)));
        let start = Instant::now();
        let tx = client.transaction().await?;
        tx.execute(&order, &[&"ann", &12]).await?;
        if let Some(event) = event {
            outbox.publish_on(&mut TokioPostgres(&tx), TOPIC, event).await?;
        }
        tx.commit().await?;
        took.push(start.elapsed());
    }
    Ok(Times::of_turns(&took))
}

/// Messages a second that arrive in another store.
async fn relay(folder: &Path) -> Result<f64, Failure> {
    let open = async |name: &str| dozen_open::open(&format!("sqlite:{}", folder.join(name).display())).await;
    let (here, there) = (open("here.db").await?, open("there.db").await?);
    let (source, target) = (declared(&here).await?, declared(&there).await?);
    let outbox = Outbox::new(&here, "/bench", ids());
    for _ in 0..CARRIED / BATCH {
        let events = (0..BATCH).map(|_| outbox.event("order.placed", "x".repeat(256)));
        source.publish(TOPIC, events.collect()).await?;
    }
    let relay = Relay::new("there", &here, Routes::All, Arc::new(target), RelayOptions::default(), ids());
    let relay = Arc::new(relay);
    let (stop, (ready, _ready)) = (Stop::new(), Ready::channel());
    let begun = Instant::now();
    let runs = tokio::spawn(relay.clone().run(stop.clone(), ready));
    loop {
        let carried: u64 = relay.status().await?.iter().map(|lane| lane.here.carried_total).sum();
        if carried >= CARRIED {
            break;
        }
        if runs.is_finished() {
            return Err("the relay ended before it had carried everything".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = begun.elapsed();
    stop.soft.cancel();
    runs.await?.map_err(|error| error.to_string())?;
    Ok(CARRIED as f64 / took.as_secs_f64())
}
