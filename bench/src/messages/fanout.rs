//! One event to a thousand subscriptions: until the last has it, and what an open subscription costs in memory.
//!
//! It is measured in a process of its own, so that no other measurement's memory is in the difference.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{TopicOptions, Topics};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bar::{Figure, Measured, Target, median};
use crate::process::resident_kib;
use crate::{Context, Failure};

const SUBSCRIPTIONS: usize = 1_000;
/// Events whose deliveries are timed, one after the other.
const EVENTS: usize = 10;
/// How long a subscriber waits before it asks again.
const WAIT: Duration = Duration::from_secs(30);
/// Until an event must be everywhere.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "bench";

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    if !context.is_peer_wanted("sqlite") {
        return Ok(Measured::of(Vec::new()));
    }
    let (mut last, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..context.rounds {
        let folder = crate::process::folder_on_disk()?;
        let address = format!("sqlite:{}", folder.path().join("fanout.db").display());
        let output =
            Command::new(std::env::current_exe()?).args(["fan-out-under-test", &address]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (Some(Ok(milliseconds)), Some(Ok(kibibytes))) = (numbers.next(), numbers.next()) else {
            return Err(
                format!("the fan-out failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into()
            );
        };
        eprintln!("  last of {SUBSCRIPTIONS} after {milliseconds:.1} ms, {kibibytes:.1} KiB a subscription");
        last.push(milliseconds);
        memory.push(kibibytes);
    }
    let how = format!("one event of 256 bytes, {SUBSCRIPTIONS} durable subscriptions in one process");
    Ok(Measured::of(vec![
        Figure {
            name: "messages.fan-out.last".into(),
            measured: median(last),
            unit: "ms".into(),
            target: Target::None,
            note: format!("{how}: from `publish` until the last one has it, median of {EVENTS} events"),
        },
        Figure {
            name: "messages.fan-out.memory".into(),
            measured: median(memory),
            unit: "KiB".into(),
            target: Target::AtMost(20.0),
            note: format!(
                "{how}: resident memory a subscription, each having had an event and waiting for the next"
            ),
        },
    ]))
}

/// Prints the milliseconds until the last delivery and the kibibytes of a subscription.
pub(crate) fn under_test(address: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (milliseconds, kibibytes) = runtime.block_on(once(address))?;
    println!("{milliseconds} {kibibytes}");
    Ok(())
}

async fn once(address: &str) -> Result<(f64, f64), Failure> {
    let store = dozen_open::open(address).await?;
    let topics = Topics::new(&store, BTreeMap::from([(TOPIC.to_owned(), TopicOptions::default())]));
    topics.declare().await?;
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let (settled, mut deliveries) = mpsc::channel(SUBSCRIPTIONS + 1);
    let mut subscribers: JoinSet<Result<(), Failure>> = JoinSet::new();
    // One comes first: what the store and its pools need once is no subscription's.
    subscribe(&topics, 0, &settled, &mut subscribers).await?;
    deliver(&topics, &ids, &mut deliveries, &mut subscribers, 1).await?;
    let before = resident_kib(std::process::id())?;
    for number in 1..=SUBSCRIPTIONS {
        subscribe(&topics, number, &settled, &mut subscribers).await?;
    }
    deliver(&topics, &ids, &mut deliveries, &mut subscribers, SUBSCRIPTIONS + 1).await?;
    let each = (resident_kib(std::process::id())? - before) / SUBSCRIPTIONS as f64;
    let mut times = Vec::with_capacity(EVENTS);
    for _ in 0..EVENTS {
        let last = deliver(&topics, &ids, &mut deliveries, &mut subscribers, SUBSCRIPTIONS + 1).await?;
        times.push(last.as_secs_f64() * 1e3);
    }
    Ok((median(times), each))
}

/// Opens a durable subscription and takes what comes to it, telling when it came once that is settled.
async fn subscribe(
    topics: &Topics,
    number: usize,
    settled: &mpsc::Sender<Instant>,
    subscribers: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let options = SubscriptionOptions::default();
    let subscription = topics.subscription(TOPIC, &format!("subscription-{number}"), options).await?;
    let settled = settled.clone();
    subscribers.spawn(async move {
        loop {
            for delivery in subscription.receive(16, WAIT).await? {
                let came = Instant::now();
                subscription.settle(vec![(delivery.lease, Settlement::Done)]).await?;
                settled.send(came).await?;
            }
        }
    });
    Ok(())
}

/// Publishes an event and waits until `count` subscribers have settled it. Gives how long it took until the last had it.
async fn deliver(
    topics: &Topics,
    ids: &Ids,
    deliveries: &mut mpsc::Receiver<Instant>,
    subscribers: &mut JoinSet<Result<(), Failure>>,
    count: usize,
) -> Result<Duration, Failure> {
    let message = Message::new(ids.next().to_string(), "/bench", "bench");
    let message = message.with_data(Some("application/octet-stream"), vec![b'x'; 256]);
    let start = Instant::now();
    topics.publish(TOPIC, vec![message]).await?;
    let mut last = start;
    for _ in 0..count {
        tokio::select! {
            came = deliveries.recv() => last = last.max(came.ok_or("there are no subscribers")?),
            Some(ended) = subscribers.join_next() => ended??,
            () = tokio::time::sleep(PATIENCE) => return Err("an event did not reach everybody".into()),
        }
    }
    Ok(last - start)
}
