//! A subscriber was away while a million messages arrived. It catches up: how quickly, and do others notice?
//!
//! The others are callers that publish at a fixed rate on another topic, and a subscriber of theirs, in the same process on
//! the same file: the worst neighbour that a subscriber can be. What counts is how many of their messages get through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{
    JournalSubscriber, Publisher as _, Settlement, Start, Subscriber as _, SubscriptionOptions,
};
use dozen_pubsub::{TopicOptions, Topics};
use tokio::task::JoinSet;

use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

const MISSED: u64 = 1_000_000;
/// Of the others, in a second, and how many callers share them.
const RATE: u32 = 1_000;
const CALLERS: u32 = 16;
/// Messages that one who catches up takes at a time.
const BATCH: usize = 500;
/// How long the others are watched before he comes back.
const BEFORE: Duration = Duration::from_secs(5);

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    if !context.is_peer_wanted("sqlite") {
        return Ok(Measured::of(Vec::new()));
    }
    let (mut kept, mut caught) = (Vec::new(), Vec::new());
    for _ in 0..context.rounds.min(3) {
        let folder = crate::process::folder_on_disk()?;
        let address = format!("sqlite:{}", folder.path().join("catch-up.db").display());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (ratio, rate) = runtime.block_on(once(&address))?;
        eprintln!("  caught up with {rate:.0} messages/s; {:.0} % of the others' got through", ratio * 100.0);
        kept.push(ratio);
        caught.push(rate);
    }
    let how = format!(
        "SQLite synced; others publish {RATE} messages of 256 bytes a second on another topic and receive them"
    );
    Ok(Measured::of(vec![
        Figure {
            name: "messages.catch-up.others".into(),
            measured: median(kept),
            unit: "x".into(),
            target: Target::AtLeast(0.9),
            note: format!(
                "{how}: received while one catches up with {MISSED} missed messages, beside before"
            ),
        },
        Figure {
            name: "messages.catch-up.rate".into(),
            measured: median(caught),
            unit: "/s".into(),
            target: Target::None,
            note: format!("{how}: how quickly the one who was away catches up, {BATCH} at a time"),
        },
    ]))
}

/// What others got of their messages beside before, and how many a second the one caught up with.
async fn once(address: &str) -> Result<(f64, f64), Failure> {
    let store = dozen_open::open(address).await?;
    let names = ["away", "others"].map(|name| (name.to_owned(), TopicOptions::default()));
    let topics = Topics::new(&store, BTreeMap::from(names));
    topics.declare().await?;
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let options = || SubscriptionOptions { start: Start::Earliest, ..SubscriptionOptions::default() };
    let away = JournalSubscriber::from(topics.subscription("away", "away", options()).await?);
    for _ in 0..MISSED / 1_000 {
        topics.publish("away", (0..1_000).map(|_| message(&ids)).collect()).await?;
    }

    let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut others: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..CALLERS {
        let (topics, ids, over) = (topics.clone(), ids.clone(), over.clone());
        others.spawn(async move {
            let mut turn = tokio::time::interval(Duration::from_secs(1) * CALLERS / RATE);
            // Who is held up does not make up for it: that would hide it.
            turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !over.load(Ordering::Relaxed) {
                turn.tick().await;
                topics.publish("others", vec![message(&ids)]).await?;
            }
            Ok(())
        });
    }
    let theirs = JournalSubscriber::from(topics.subscription("others", "others", options()).await?);
    let (count, done) = (received.clone(), over.clone());
    others.spawn(async move {
        while !done.load(Ordering::Relaxed) {
            count.fetch_add(take(&theirs).await?, Ordering::Relaxed);
        }
        Ok(())
    });

    let quiet = Instant::now();
    tokio::time::sleep(BEFORE).await;
    let before = received.swap(0, Ordering::Relaxed) as f64 / quiet.elapsed().as_secs_f64();
    let busy = Instant::now();
    let mut caught = 0;
    while caught < MISSED {
        caught += take(&away).await?;
    }
    let took = busy.elapsed().as_secs_f64();
    let during = received.load(Ordering::Relaxed) as f64 / took;
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = others.join_next().await {
        ended??;
    }
    Ok((during / before, MISSED as f64 / took))
}

/// Takes a batch and acknowledges it; gives how many.
async fn take(subscriber: &JournalSubscriber) -> Result<u64, Failure> {
    let deliveries = subscriber.receive(BATCH, Duration::from_millis(100)).await?;
    let ends: Vec<_> = deliveries.iter().map(|delivery| (delivery.lease, Settlement::Done)).collect();
    let count = ends.len() as u64;
    if count > 0 {
        subscriber.settle(ends).await?;
    }
    Ok(count)
}

fn message(ids: &Ids) -> Message {
    let message = Message::new(ids.next().to_string(), "/bench", "bench");
    message.with_data(Some("application/octet-stream"), vec![b'x'; 256])
}
