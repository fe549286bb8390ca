//! A load at a constant rate, which keeps its timetable whatever the answers do.
//!
//! ```text
//! due       1     2     3     4     5     6          known from the start: one every 1/rate
//! sent      1     2     3           4 5   6          4 waited, because every connection was waiting
//! answered    1     2             3   4 5   6
//!           └─┘                     latency of 1: from the moment that it was due to the last byte of its answer
//!                               └───┘ that of 4 begins where its sending should have
//! ```
//!
//! A load that sends the next request when the last is answered slows down with whom it measures, and leaves out the very
//! requests that would have waited (*coordinated omission*). Here a request that could not be sent in time has waited
//! since it was due, whoever kept it: the other end, or this program, when it had no processor. How late requests were sent
//! is told beside the latencies; and because it is in both, what a proxy *adds* is the difference to a direct call, measured
//! in the same way and in turns.
//!
//! One thread, one `epoll`; it sleeps until the next moment that something is due, to the nanosecond, so that those who
//! share its core have it meanwhile.

mod connection;
mod histogram;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{Timespec, epoll};
use serde::{Deserialize, Serialize};

use crate::Failure;
use connection::Connection;
use histogram::Histogram;

/// Not measured: caches and pools become warm.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long answers may take beyond the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked, how often and for how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// Who is asked.
    pub(crate) at: SocketAddr,
    /// Path and query.
    pub(crate) path: String,
    /// Connections, which take turns.
    #[arg(long)]
    pub(crate) connections: usize,
    /// Requests a second.
    #[arg(long)]
    pub(crate) rate: f64,
    /// How long.
    #[arg(long)]
    pub(crate) seconds: f64,
}

/// What came of it, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) answered: u64,
    /// From when requests were due to the ends of their answers.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// From when they were due to their sending.
    pub(crate) late_p50: f64,
    pub(crate) late_p99: f64,
}

/// Runs a load on this thread. An answer that is none, or that does not come, is an error; and so is a rate that the
/// other end cannot keep up with.
pub(crate) fn run(load: &Load) -> Result<Told, Failure> {
    // A timer may otherwise be 50 µs late so that wake-ups can be gathered. Where it cannot be written, it stays so.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    go_first();
    let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", load.path, load.at).into_bytes();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(load.connections);
    for at in 0..load.connections {
        let connection = Connection::open(load.at)?;
        epoll::add(&epoll, &connection.stream, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN)?;
        connections.push(connection);
    }
    let mut free: VecDeque<usize> = (0..connections.len()).collect();
    let interval = Duration::from_secs_f64(1.0 / load.rate);
    let length = WARM_UP + Duration::from_secs_f64(load.seconds);
    let total = (length.as_secs_f64() * load.rate) as u32;
    let start = Instant::now() + Duration::from_millis(1);
    let due = |number: u32| start + interval * number;
    let (measured_from, give_up) = (start + WARM_UP, start + length + PATIENCE);
    let (mut latency, mut lateness) = (Histogram::new(), Histogram::new());
    let (mut next, mut answered, mut measured) = (0, 0, 0);
    let mut events = Vec::with_capacity(connections.len().max(1));
    let mut room = Vec::new();
    while answered < total {
        let mut now = Instant::now();
        while next < total && due(next) <= now {
            let Some(at) = free.pop_front() else { break };
            connections[at].send(&request, due(next))?;
            if due(next) >= measured_from {
                lateness.add(nanos(now - due(next)));
            }
            next += 1;
            now = Instant::now();
        }
        if now > give_up {
            return Err(format!("{} of {total} requests have no answer", total - answered).into());
        }
        let until = if next < total && !free.is_empty() { due(next) } else { give_up };
        let wait = Timespec::try_from(until.saturating_duration_since(now))?;
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait))?;
        for event in &events {
            let at = usize::try_from(event.data.u64())?;
            let connection = &mut connections[at];
            if connection.read(&mut room)? {
                answered += 1;
                free.push_back(at);
                if connection.due >= measured_from {
                    measured += 1;
                    latency.add(nanos(connection.due.elapsed()));
                }
            }
        }
    }
    let micros = |nanos: u64| nanos as f64 / 1e3;
    Ok(Told {
        answered: measured,
        p50: micros(latency.quantile(0.5)),
        p99: micros(latency.quantile(0.99)),
        late_p50: micros(lateness.quantile(0.5)),
        late_p99: micros(lateness.quantile(0.99)),
    })
}

/// Goes ahead of everybody on its core, the origin above all: it is late otherwise by their slices, which are milliseconds.
/// Where that is not allowed it takes its turn, and how late it was is told.
fn go_first() {
    let own = std::process::id().to_string();
    let mut command = Command::new("chrt");
    command.args(["--fifo", "--pid", "1", &own]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status();
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
