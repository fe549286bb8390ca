//! The load: the same for everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::peer::{Peer, Work};
use crate::{Failure, process};

/// Consumers of a queue.
const CONSUMERS: usize = 2;
/// Callers wait while this many messages have been sent and not acknowledged by a consumer. What is measured is what can
/// be kept up, not how fast a backlog grows.
const BACKLOG_MAX: usize = 8_192;
/// Not measured: connections become warm, buffers and files grow.
const WARM_UP: Duration = Duration::from_millis(300);

/// How many times the length of a measurement somebody may take for the first message.
const TRIES: usize = 20;

/// One measurement of each peer in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) work: Work,
    /// Bytes of a message.
    pub(super) payload: usize,
    pub(super) callers: usize,
}

impl Load {
    /// The beginning of its figures' names.
    pub(super) fn name(&self) -> String {
        format!("messages.{}.{}b.{}", self.work.name(), self.payload, self.callers)
    }
}

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Messages a second: acknowledged to their callers, or by consumers where there are some.
    pub(super) rate: f64,
    /// CPU microseconds for each of them, of this process and the peer's together.
    pub(super) cpu_us: f64,
    /// The share of the machine's processor time that everybody else used meanwhile, the kernel's own threads among them.
    pub(super) others: f64,
}

/// Runs `load` against `peer` for `length`.
pub(super) async fn run(peer: &dyn Peer, load: Load, length: Duration) -> Result<Sample, Failure> {
    let place = peer.open(load.work).await?;
    let payload = Bytes::from(vec![b'x'; load.payload]);
    let (done, room) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(BACKLOG_MAX)));
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..load.callers {
        let mut sender = place.sender(payload.clone()).await?;
        let (done, room) = (done.clone(), room.clone());
        tasks.spawn(async move {
            loop {
                if load.work == Work::Cycle {
                    room.acquire().await?.forget();
                }
                sender.send().await?;
                if load.work == Work::Append {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    for _ in 0..if load.work == Work::Cycle { CONSUMERS } else { 0 } {
        let mut taker = place.taker().await?;
        let (done, room) = (done.clone(), room.clone());
        tasks.spawn(async move {
            loop {
                let taken = taker.take().await?;
                done.fetch_add(taken as u64, Ordering::Relaxed);
                room.add_permits(taken);
            }
        });
    }
    let look = || {
        let used = process::cpu_of(std::process::id()) + peer.cpu();
        (Instant::now(), done.load(Ordering::Relaxed), used, process::cpu_of_all())
    };
    unless_ended(&mut tasks, WARM_UP).await?;
    let (start, before, used_before, all_before) = look();
    let mut tries = 0;
    let (end, after, used_after, all_after) = loop {
        unless_ended(&mut tasks, length).await?;
        let now = look();
        // Nothing at all is no rate to compare with: a slow one is given more time.
        if now.1 > before {
            break now;
        }
        tries += 1;
        if tries == TRIES {
            return Err(format!("nothing was acknowledged in {:.1} s", (now.0 - start).as_secs_f64()).into());
        }
    };
    tasks.shutdown().await;
    place.close().await?;
    let (messages, seconds) = ((after - before) as f64, (end - start).as_secs_f64());
    let used = used_after.saturating_sub(used_before);
    let others = all_after.saturating_sub(all_before).saturating_sub(used);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    Ok(Sample {
        rate: messages / seconds,
        cpu_us: used.as_secs_f64() * 1e6 / messages,
        others: others.as_secs_f64() / (seconds * cores),
    })
}

/// Lets the tasks run for `length`. They run until they are stopped, so one that ends has failed.
async fn unless_ended(tasks: &mut JoinSet<Result<(), Failure>>, length: Duration) -> Result<(), Failure> {
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(error.into()),
            None => Err("nobody was there to measure".into()),
        },
    }
}
