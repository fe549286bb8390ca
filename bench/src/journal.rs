//! The journal against Redis Streams: the same messages, the same callers, the same promise (on disk before the answer).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{Settlement, Subscriber};
use dozen_queue::{Options, Queue};
use dozen_store::Store;

use crate::bar::{Figure, Measured, Target, median};
use crate::process::cpu_of;
use crate::redis::{Connection, Direct, Redis, ids};
use crate::{Context, Failure};

/// Bytes of a message.
const PAYLOAD: usize = 256;
/// How long one measurement lasts.
const LENGTH: Duration = Duration::from_secs(3);
/// What a consumer takes at once.
const BATCH: usize = 128;
/// Consumers of the queue.
const CONSUMERS: usize = 2;

/// What one round gives: messages per second, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    append_alone: f64,
    append: f64,
    /// CPU microseconds per append: this whole process, and Redis's server alone.
    append_cpu: f64,
    append_cpu_redis: f64,
    append_redis: f64,
    append_redis_shared: f64,
    queue: f64,
    queue_redis: f64,
    queue_redis_shared: f64,
    /// From the call of `send` to the start of the handler, less what `send` alone takes; milliseconds, median.
    delivery_ms: f64,
}

/// Runs the rounds and compares within each.
pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = crate::process::folder_on_disk()?;
    let rounds: Vec<Round> = (0..context.rounds).map(|number| round(folder.path(), number)).collect();
    let middle = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let ratio =
        |name: &str, peer: &str, target, ours: fn(&Round) -> f64, theirs: fn(&Round) -> f64, how: &str| {
            Figure {
                name: format!("foundation.journal.{name}"),
                measured: median(rounds.iter().map(|round| ours(round) / theirs(round)).collect()),
                unit: format!("x({peer})"),
                target: Target::AtLeast(target),
                note: format!("{how}: {:.0}/s against {:.0}/s", middle(ours), middle(theirs)),
            }
        };
    let redis = "redis";
    // One connection for all callers turns 128 system calls a batch into one, on both ends; here each caller still has a
    // queue entry and a wake-up of its own. That is where the difference goes.
    let cpu = format!(
        "128 callers, 256 bytes, synced; Redis with a connection each; CPU {:.1} µs a message in all here, {:.1} µs in \
         the server there",
        middle(|round| round.append_cpu),
        middle(|round| round.append_cpu_redis)
    );
    Ok(Measured::of(vec![
        ratio(
            "append-128",
            "one caller",
            25.0,
            |r| r.append,
            |r| r.append_alone,
            "128 callers and one, 256 bytes, synced",
        ),
        ratio("append-128-vs-redis", redis, 1.5, |r| r.append, |r| r.append_redis, &cpu),
        ratio(
            "append-128-vs-redis-shared",
            redis,
            1.5,
            |r| r.append,
            |r| r.append_redis_shared,
            "the same, Redis with one connection that all callers share: one system call a batch instead of one a caller",
        ),
        ratio(
            "queue-128-vs-redis",
            redis,
            1.2,
            |r| r.queue,
            |r| r.queue_redis,
            "128 senders, 2 workers that lease and acknowledge by 128; Redis with a connection for each sender",
        ),
        ratio(
            "queue-128-vs-redis-shared",
            redis,
            1.2,
            |r| r.queue,
            |r| r.queue_redis_shared,
            "the same, Redis with one connection that all senders share: one system call a batch instead of one a sender",
        ),
        Figure {
            name: "foundation.journal.commit-to-handler-p50".into(),
            measured: middle(|round| round.delivery_ms),
            unit: "ms".into(),
            target: Target::AtMost(1.0),
            note: "same process; from `send` to the handler's start, less what `send` alone takes".into(),
        },
    ]))
}

/// Runs all of it once, in folders below `folder`.
fn round(folder: &Path, number: usize) -> Round {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut round = Round::default();
        let at = |name: &str| {
            let path = folder.join(format!("{name}-{number}"));
            std::fs::create_dir_all(&path).expect("a folder");
            path
        };
        let file = |name: &str| format!("sqlite:{}", at(name).join("bench.db").display());
        let store = dozen_open::open(&file("alone")).await.expect("open");
        round.append_alone = append(&store, 1).await;
        drop(store);
        let store = dozen_open::open(&file("append")).await.expect("open");
        let before = cpu_of(std::process::id());
        round.append = append(&store, 128).await;
        let used = cpu_of(std::process::id()).saturating_sub(before);
        round.append_cpu = used.as_secs_f64() * 1e6 / (round.append * LENGTH.as_secs_f64());
        drop(store);
        {
            let redis = Redis::start(&at("redis-append")).expect("redis-server starts");
            round.append_redis = append_redis(&redis, 128, false).await;
            round.append_cpu_redis =
                redis.cpu().as_secs_f64() * 1e6 / (round.append_redis * LENGTH.as_secs_f64());
        }
        {
            let redis = Redis::start(&at("redis-append-shared")).expect("redis-server starts");
            round.append_redis_shared = append_redis(&redis, 128, true).await;
        }
        let store = dozen_open::open(&file("queue")).await.expect("open");
        round.queue = queue(&store, 128).await;
        drop(store);
        {
            let redis = Redis::start(&at("redis-queue")).expect("redis-server starts");
            round.queue_redis = queue_redis(&redis, 128, false).await;
        }
        {
            let redis = Redis::start(&at("redis-queue-shared")).expect("redis-server starts");
            round.queue_redis_shared = queue_redis(&redis, 128, true).await;
        }
        let store = dozen_open::open(&file("delivery")).await.expect("open");
        round.delivery_ms = delivery(&store).await;
        round
    })
}

fn make_ids() -> Ids {
    Ids::new(Arc::new(SystemClock), dozen_open::seed())
}

fn message(ids: &Ids) -> Message {
    let mut message = Message::new(ids.next().to_string(), "/bench", "bench");
    message.time = Some(ids.clock().now());
    message.with_data(Some("application/octet-stream"), vec![b'x'; PAYLOAD])
}

/// Runs `callers` loops of `call` for [`LENGTH`]; calls per second.
async fn drive<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    call: impl Fn(usize) -> F + Send + Sync + Clone + 'static,
) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let call = call.clone();
        tasks.spawn(async move {
            let mut done = 0usize;
            while start.elapsed() < LENGTH {
                call(caller).await;
                done += 1;
            }
            done
        });
    }
    let done: usize = tasks.join_all().await.into_iter().sum();
    done as f64 / start.elapsed().as_secs_f64()
}

async fn append(store: &Store, callers: usize) -> f64 {
    let (journal, ids) = (store.journal(), make_ids());
    let stream: Arc<str> = "topic/bench".into();
    drive(callers, move |_| {
        let (journal, stream, ids) = (journal.clone(), stream.clone(), ids.clone());
        async move { drop(journal.append(&stream, vec![message(&ids)]).await.expect("append")) }
    })
    .await
}

/// Callers that add and wait, on connections of their own or on one that they share; adds per second.
async fn append_redis(redis: &Redis, callers: usize, share: bool) -> f64 {
    let payload = Arc::new(vec![b'x'; PAYLOAD]);
    if share {
        let connection = Connection::open(redis.address).await.expect("connect");
        return drive(callers, move |_| {
            let (connection, payload) = (connection.clone(), payload.clone());
            async move { drop(connection.call(&[b"XADD", b"bench", b"*", b"d", &payload]).await) }
        })
        .await;
    }
    let mut connections = Vec::with_capacity(callers);
    for _ in 0..callers {
        connections.push(tokio::sync::Mutex::new(Direct::open(redis.address).await.expect("connect")));
    }
    let connections = Arc::new(connections);
    drive(callers, move |caller| {
        let (connections, payload) = (connections.clone(), payload.clone());
        async move {
            // Nobody else uses it: the lock costs nothing beside the socket.
            let mut connection = connections[caller].lock().await;
            drop(connection.call(&[b"XADD", b"bench", b"*", b"d", &payload]).await);
        }
    })
    .await
}

/// Producers wait for their acknowledgement, consumers lease and acknowledge in batches; what was acknowledged counts.
async fn queue(store: &Store, producers: usize) -> f64 {
    let ids = make_ids();
    let queue = Queue::open_with(store, "bench", Options::default(), ids.clone()).await.expect("open");
    let done = Arc::new(AtomicUsize::new(0));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..CONSUMERS {
        let (subscriber, done) = (queue.subscriber(), done.clone());
        consumers.spawn(async move {
            loop {
                let deliveries = subscriber.receive(BATCH, Duration::from_secs(1)).await.expect("receive");
                let ends: Vec<_> =
                    deliveries.iter().map(|delivery| (delivery.lease, Settlement::Done)).collect();
                if !ends.is_empty() {
                    let settled = subscriber.settle(ends).await.expect("settle");
                    done.fetch_add(settled.iter().filter(|settled| **settled).count(), Ordering::Relaxed);
                }
            }
        });
    }
    drive(producers, move |_| {
        let (queue, ids) = (queue.clone(), ids.clone());
        async move { drop(queue.send(message(&ids)).await.expect("send")) }
    })
    .await;
    done.load(Ordering::Relaxed) as f64 / LENGTH.as_secs_f64()
}

async fn queue_redis(redis: &Redis, producers: usize, share: bool) -> f64 {
    let connection = Connection::open(redis.address).await.expect("connect");
    connection.call(&[b"XGROUP", b"CREATE", b"bench", b"g", b"$", b"MKSTREAM"]).await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut consumers = tokio::task::JoinSet::new();
    for number in 0..CONSUMERS {
        let (address, done) = (redis.address, done.clone());
        consumers.spawn(async move {
            let connection = Connection::open(address).await.expect("connect");
            let name = number.to_string().into_bytes();
            let batch = BATCH.to_string().into_bytes();
            loop {
                let taken = connection
                    .call(&[
                        b"XREADGROUP",
                        b"GROUP",
                        b"g",
                        &name,
                        b"COUNT",
                        &batch,
                        b"BLOCK",
                        b"1000",
                        b"STREAMS",
                        b"bench",
                        b">",
                    ])
                    .await;
                let ids = ids(&taken);
                if ids.is_empty() {
                    continue;
                }
                let mut ack: Vec<&[u8]> = vec![b"XACK", b"bench", b"g"];
                ack.extend(ids.iter().map(String::as_bytes));
                let mut forget: Vec<&[u8]> = vec![b"XDEL", b"bench"];
                forget.extend(ids.iter().map(String::as_bytes));
                tokio::join!(connection.call(&ack), connection.call(&forget));
                done.fetch_add(ids.len(), Ordering::Relaxed);
            }
        });
    }
    append_redis(redis, producers, share).await;
    done.load(Ordering::Relaxed) as f64 / LENGTH.as_secs_f64()
}

/// How much later than its own commit a message reaches a handler that waits for it.
async fn delivery(store: &Store) -> f64 {
    const MESSAGES: usize = 500;
    let ids = make_ids();
    let alone = Queue::open_with(store, "alone", Options::default(), ids.clone()).await.expect("open");
    let queue = Queue::open_with(store, "bench", Options::default(), ids.clone()).await.expect("open");
    let mut sends = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let start = Instant::now();
        alone.send(message(&ids)).await.expect("send");
        sends.push(start.elapsed());
    }
    let subscriber = queue.subscriber();
    let (handled, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let consumer = tokio::spawn(async move {
        loop {
            for delivery in subscriber.receive(1, Duration::from_secs(1)).await.expect("receive") {
                let _ = handled.send(Instant::now());
                subscriber.settle(vec![(delivery.lease, Settlement::Done)]).await.expect("settle");
            }
        }
    });
    let mut waits = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let start = Instant::now();
        queue.send(message(&ids)).await.expect("send");
        waits.push(starts.recv().await.expect("a delivery").saturating_duration_since(start));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    consumer.abort();
    sends.sort();
    waits.sort();
    waits[MESSAGES / 2].saturating_sub(sends[MESSAGES / 2]).as_secs_f64() * 1e3
}
