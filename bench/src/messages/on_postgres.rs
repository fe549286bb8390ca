//! What a queue on PostgreSQL costs beside its throughput: how late a handler is, what an idle process asks, and what a
//! transaction that somebody keeps open does to it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{Settlement, Subscriber as _};
use dozen_queue::{Options, Queue};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::load::{Load, run};
use super::ours::{Ours, address_on};
use super::peer::{BATCH, WAIT, Work};
use super::postgres::{DATABASE, Server, connect};
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

/// Messages a second, sent one by one, when delays are measured; and for how many seconds.
const PACE: u32 = 1_000;
const PACED: usize = 5;
/// Of a paced run, not counted: pools fill, statements are prepared.
const PACED_WARM_UP: usize = 500;
/// How long an idle process is watched, and how long it has been idle before: two looks follow what has happened.
const IDLE: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(12);
/// Where in the server's log the watch begins.
const MARK: &str = "the watch begins";
/// How long each side of the comparison with an old snapshot lasts: long enough for dead rows to pile up.
const HELD: Duration = Duration::from_secs(6);

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    if !context.is_peer_wanted("postgres") {
        return Ok(Measured::of(Vec::new()));
    }
    let folder = crate::process::folder_on_disk()?;
    let rounds = context.rounds.min(3);
    let (mut p50, mut p99, mut asked, mut held) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            if context.is_wanted("messages.on-postgres.delay") {
                let (middle, late) = delays(folder.path()).await?;
                eprintln!(
                    "  round {} of {rounds}: a handler starts after {middle:.1} ms, p99 {late:.1} ms",
                    number + 1
                );
                p50.push(middle);
                p99.push(late);
            }
            if number == 0 && context.is_wanted("messages.on-postgres.idle") {
                let queries = idle(folder.path()).await?;
                eprintln!("  round {} of {rounds}: {queries:.2} queries in 5 s without traffic", number + 1);
                asked.push(queries);
            }
            if context.is_wanted("messages.on-postgres.old-snapshot") {
                let (without, with) = old_snapshot(folder.path(), number).await?;
                eprintln!(
                    "  round {} of {rounds}: {without:.0}/s, with an old snapshot {with:.0}/s",
                    number + 1
                );
                held.push(with / without);
            }
            Ok::<(), Failure>(())
        })?;
    }
    let figure = |name: &str, values: Vec<f64>, unit: &str, target, note: String| {
        (!values.is_empty()).then(|| Figure {
            name: format!("messages.on-postgres.{name}"),
            measured: median(values),
            unit: unit.into(),
            target,
            note,
        })
    };
    let paced = format!(
        "{PACE} messages a second, one by one; from the call of `send`, its commit included, to the handler"
    );
    let figures = [
        figure("delay-p50", p50, "ms", Target::AtMost(10.0), paced.clone()),
        figure("delay-p99", p99, "ms", Target::AtMost(50.0), paced),
        figure(
            "idle",
            asked,
            "queries",
            Target::AtMost(1.0),
            format!(
                "in 5 s: a consumer waits on an empty queue; counted in the server's log over {} s",
                IDLE.as_secs()
            ),
        ),
        figure(
            "old-snapshot",
            held,
            "x(without)",
            Target::AtLeast(0.9),
            "cycle by 128 callers, 256 bytes, while another session keeps a snapshot from before it".into(),
        ),
    ];
    Ok(Measured::of(figures.into_iter().flatten().collect()))
}

async fn queue_on(server: &Server) -> Result<(Queue, Ids), Failure> {
    let store = dozen_open::open(&address_on(server).replace("{n}", "1")).await?;
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    Ok((Queue::open_with(&store, "bench", Options::default(), ids.clone()).await?, ids))
}

/// Milliseconds from `send` to the handler, median and 99th percentile.
async fn delays(folder: &Path) -> Result<(f64, f64), Failure> {
    let server = Server::start(folder, &[]).await?;
    let (queue, ids) = queue_on(&server).await?;
    let total = PACED_WARM_UP + PACED * PACE as usize;
    let (came, mut times) = mpsc::channel(total);
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    let subscriber = queue.subscriber();
    let begin = Instant::now();
    tasks.spawn(async move {
        loop {
            let deliveries = subscriber.receive(BATCH, WAIT).await?;
            let now = begin.elapsed();
            let mut ends = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let sent: u64 = delivery.message.subject.as_deref().unwrap_or("").parse()?;
                came.send(now.saturating_sub(Duration::from_nanos(sent))).await?;
                ends.push((delivery.lease, Settlement::Done));
            }
            subscriber.settle(ends).await?;
        }
    });
    let mut tick = interval(Duration::from_secs(1) / PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut delays = Vec::with_capacity(total);
    let mut sent = 0;
    while delays.len() < total {
        tokio::select! {
            _ = tick.tick(), if sent < total => {
                let mut message = Message::new(ids.next().to_string(), "/bench", "bench");
                message.time = Some(ids.clock().now());
                message.subject = Some(begin.elapsed().as_nanos().to_string());
                let message = message.with_data(Some("application/octet-stream"), vec![b'x'; 256]);
                let queue = queue.clone();
                // As many at once as are late; `total` bounds them.
                tasks.spawn(async move { Ok(queue.send(message).await.map(drop)?) });
                sent += 1;
            }
            delay = times.recv() => delays.push(delay.ok_or("the consumer is gone")?),
            Some(ended) = tasks.join_next() => ended??,
        }
    }
    let mut delays: Vec<f64> =
        delays[PACED_WARM_UP..].iter().map(|delay| delay.as_secs_f64() * 1e3).collect();
    delays.sort_by(f64::total_cmp);
    Ok((delays[delays.len() / 2], delays[delays.len() * 99 / 100]))
}

/// Statements in five seconds, of a process whose consumer waits.
async fn idle(folder: &Path) -> Result<f64, Failure> {
    let server = Server::start(folder, &["log_statement=all"]).await?;
    let (queue, ids) = queue_on(&server).await?;
    let subscriber = queue.subscriber();
    let mut message = Message::new(ids.next().to_string(), "/bench", "bench");
    message.time = Some(ids.clock().now());
    queue.send(message).await?;
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let mut consumer: JoinSet<Result<(), Failure>> = JoinSet::new();
    consumer.spawn(async move {
        let mut ready = Some(ready);
        loop {
            // As long as a worker waits: wake-ups come by themselves.
            let deliveries = subscriber.receive(BATCH, Duration::from_secs(600)).await?;
            let ends = deliveries.iter().map(|delivery| (delivery.lease, Settlement::Done)).collect();
            subscriber.settle(ends).await?;
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
        }
    });
    is_ready.await?;
    sleep(SETTLE).await;
    let server = Arc::new(server);
    let other = server.clone();
    tokio::task::spawn_blocking(move || other.postgres.psql(DATABASE, &format!("select '{MARK}'"))).await??;
    sleep(IDLE).await;
    let log = server.postgres.log();
    // The log is kept in part; a mark that is gone was followed by thousands of lines.
    let (_, since) =
        log.rsplit_once(MARK).ok_or("an idle process asked so much that the log forgot its beginning")?;
    let is_statement = |line: &&str| line.contains("LOG:  statement:") || line.contains("LOG:  execute ");
    let asked: Vec<f64> = since.lines().filter(is_statement).filter_map(second_of_day).collect();
    // Between the first and the last, so that it does not matter where the watch falls between two.
    Ok(match asked[..] {
        [first, .., last] => (asked.len() - 1) as f64 * 5.0 / (last - first).rem_euclid(86_400.0),
        _ => asked.len() as f64 * 5.0 / IDLE.as_secs_f64(),
    })
}

/// When a line of the server's log was written: it begins with the date and the time.
fn second_of_day(line: &str) -> Option<f64> {
    let mut parts = line.split_whitespace().nth(1)?.split(':').map(str::parse::<f64>);
    let mut next = || parts.next()?.ok();
    Some(next()? * 3600.0 + next()? * 60.0 + next()?)
}

/// Messages a second through a queue, without and with a snapshot that is as old as the run; in turns who is first.
async fn old_snapshot(folder: &Path, number: usize) -> Result<(f64, f64), Failure> {
    let mut rates = [0.0; 2];
    for turn in [number % 2, (number + 1) % 2] {
        let server = Server::start(folder, &[]).await?;
        let url = server.postgres.url(DATABASE);
        let ours = Ours::new(address_on(&server), String::new(), Some(server));
        let reader = connect(&url).await?;
        if turn == 1 {
            reader
                .batch_execute("begin isolation level repeatable read; select count(*) from pg_class")
                .await?;
        }
        let load = Load { work: Work::Cycle, payload: 256, callers: 128 };
        rates[turn] = run(&ours, load, HELD).await?.rate;
    }
    Ok((rates[0], rates[1]))
}
