//! Spares a receiver that is away, at no cost for its messages.
//!
//! ```text
//!           failures in a row                     the wait is over
//!   closed ───────────────────► open (wait, jitter) ───────────────► probing with one message
//!     ▲                          ▲                                      │        │
//!     │                          └──────────────── failed ──────────────┘        │
//!     └──────────────────────────────── the receiver answered ───────────────────┘
//! ```
//!
//! Messages that are in a worker's hands while the circuit is open stay there: their leases are kept alive, no attempt of
//! theirs is used up, and each probes in its turn. After each probe that failed one more message is taken, as long as the
//! worker has room, so that one message that nobody can handle does not stand for a receiver that is away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dozen_core::{Backoff, Ids, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

/// Characters of an error that are kept.
const ERROR_LENGTH_MAX: usize = 300;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOptions {
    /// Failures in a row after which it opens; at least 1.
    pub failures_max: u32,
    /// The waits between probes.
    pub backoff: Backoff,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { failures_max: 5, backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)) }
    }
}

/// Whether a receiver is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CircuitState {
    /// It is.
    #[default]
    Closed,
    /// It failed, and is left alone for a while.
    Open,
    /// One message is being tried.
    Probing,
}

/// A circuit as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitStatus {
    /// Whether the receiver is sent to.
    pub state: CircuitState,
    /// Failures in a row.
    pub failures: u32,
    /// When it opened.
    pub since: Option<Timestamp>,
    /// The latest error of the receiver; none once it answers again.
    pub error: Option<String>,
}

/// One receiver's circuit, shared by everything that sends to it. Cheap to clone.
#[derive(Clone)]
pub struct Circuit {
    options: CircuitOptions,
    ids: Ids,
    inner: Arc<Mutex<Inner>>,
    /// Moves with each change of `inner` that somebody may wait for.
    changed: watch::Sender<CircuitStatus>,
}

#[derive(Default)]
struct Inner {
    phase: Phase,
    failures: u32,
    since: Option<Timestamp>,
    error: Option<String>,
    /// Those who wait to send, in turn. As many as the worker runs at once, at most.
    waiting: VecDeque<u64>,
    tickets: u64,
    /// Probes that failed since it opened.
    probes: u32,
    given_up: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

/// What one who wants to send finds.
enum Turn {
    Go { probe: bool },
    Wait(Option<Instant>),
    Never,
}

impl Inner {
    fn status(&self) -> CircuitStatus {
        let state = match self.phase {
            Phase::Closed => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::Probing => CircuitState::Probing,
        };
        CircuitStatus { state, failures: self.failures, since: self.since, error: self.error.clone() }
    }

    fn turn(&mut self, ticket: u64, now: Instant) -> Turn {
        match self.phase {
            Phase::Closed => Turn::Go { probe: false },
            _ if self.given_up => Turn::Never,
            Phase::Open { until } if self.waiting.front() == Some(&ticket) => {
                if now < until {
                    return Turn::Wait(Some(until));
                }
                self.phase = Phase::Probing;
                Turn::Go { probe: true }
            }
            _ => Turn::Wait(None),
        }
    }
}

impl Circuit {
    /// A closed circuit.
    pub fn new(options: CircuitOptions, ids: Ids) -> Self {
        let changed = watch::channel(CircuitStatus::default()).0;
        Self { options, ids, inner: Arc::default(), changed }
    }

    /// How it stands, now and with each change.
    pub fn status(&self) -> watch::Receiver<CircuitStatus> {
        self.changed.subscribe()
    }

    /// Waits for the turn to send. `None` when [`Circuit::give_up`] came first.
    pub async fn permit(&self) -> Option<Permit> {
        let mut changed = self.changed.subscribe();
        let waiter = Waiter::new(self);
        loop {
            changed.mark_unchanged();
            let turn = self.with(|inner| inner.turn(waiter.ticket, Instant::now()));
            let until = match turn {
                Turn::Go { probe } => {
                    drop(waiter);
                    if probe {
                        self.tell();
                    }
                    return Some(Permit { circuit: self.clone(), probe, settled: false });
                }
                Turn::Never => return None,
                Turn::Wait(until) => until,
            };
            let due = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = due => {}
            }
        }
    }

    /// How many of `max` messages may be taken now; waits until it is at least one.
    pub async fn room(&self, max: usize) -> usize {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let room = self.with(|inner| match inner.phase {
                Phase::Closed => max,
                _ => max.min(usize::from(inner.waiting.len() <= inner.probes as usize)),
            });
            if room > 0 || max == 0 {
                return room;
            }
            if changed.changed().await.is_err() {
                return 0;
            }
        }
    }

    /// Nobody waits any longer: the worker stops.
    pub fn give_up(&self) {
        self.with(|inner| inner.given_up = true);
        self.tell();
    }

    fn answered(&self) {
        let was = self.with(|inner| {
            let was = inner.phase;
            (inner.phase, inner.failures, inner.probes) = (Phase::Closed, 0, 0);
            (inner.since, inner.error) = (None, None);
            was
        });
        if was != Phase::Closed {
            self.tell();
        }
    }

    /// Says whether it is open now.
    fn failed(&self, probe: bool, error: &str) -> bool {
        let (now, moment, random) = (Instant::now(), self.ids.clock().now(), self.ids.random());
        let open = self.with(|inner| {
            inner.failures = inner.failures.saturating_add(1);
            inner.error = Some(error.chars().take(ERROR_LENGTH_MAX).collect());
            if probe {
                inner.probes = inner.probes.saturating_add(1);
            }
            let opens = inner.phase == Phase::Closed && inner.failures >= self.options.failures_max.max(1);
            if opens {
                inner.since = Some(moment);
            }
            if probe || opens {
                let wait = self.options.backoff.delay(inner.probes + 1, random);
                inner.phase = Phase::Open { until: now + wait };
            }
            inner.phase != Phase::Closed
        });
        self.tell();
        open
    }

    /// Wakes whoever waits.
    fn tell(&self) {
        let status = self.with(|inner| inner.status());
        self.changed.send_replace(status);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to send once. Dropped without a word, it counts for nothing.
pub struct Permit {
    circuit: Circuit,
    probe: bool,
    settled: bool,
}

impl Permit {
    /// Whether it is a probe.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The receiver is there: it took the message, or refused it.
    pub fn answered(mut self) {
        self.settled = true;
        self.circuit.answered();
    }

    /// The receiver is not there, or not able to. Says whether the circuit is open: if so, whoever holds the message
    /// should ask for another permit instead of giving it back.
    pub fn failed(mut self, error: &str) -> bool {
        self.settled = true;
        self.circuit.failed(self.probe, error)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.settled {
            // Whoever is next may probe at once.
            self.circuit.with(|inner| {
                if inner.phase == Phase::Probing {
                    inner.phase = Phase::Open { until: Instant::now() };
                }
            });
            self.circuit.tell();
        }
    }
}

/// A place in the row of those who wait, for as long as they do.
struct Waiter<'a> {
    circuit: &'a Circuit,
    ticket: u64,
}

impl<'a> Waiter<'a> {
    fn new(circuit: &'a Circuit) -> Self {
        let ticket = circuit.with(|inner| {
            inner.tickets += 1;
            inner.waiting.push_back(inner.tickets);
            inner.tickets
        });
        Self { circuit, ticket }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let closed = self.circuit.with(|inner| {
            inner.waiting.retain(|ticket| *ticket != self.ticket);
            inner.phase == Phase::Closed
        });
        // Another one may be first in the row now.
        if !closed {
            self.circuit.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use dozen_core::SystemClock;

    use super::*;

    fn circuit(failures_max: u32) -> Circuit {
        let backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(60));
        let ids = Ids::new(Arc::new(SystemClock), 1);
        Circuit::new(CircuitOptions { failures_max, backoff }, ids)
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_at_a_time_probe() {
        let circuit = circuit(2);
        let status = circuit.status();
        assert!(!circuit.permit().await.unwrap().failed("away"));
        circuit.permit().await.unwrap().answered();
        assert!(!circuit.permit().await.unwrap().failed("away"), "an answer in between counts anew");
        assert!(circuit.permit().await.unwrap().failed("gone"));
        assert_eq!(status.borrow().state, CircuitState::Open);
        assert_eq!(status.borrow().error.as_deref(), Some("gone"));
        let start = Instant::now();
        let probe = circuit.permit().await.unwrap();
        assert!(probe.is_probe() && start.elapsed() >= Duration::from_secs(5));
        let other = tokio::time::timeout(Duration::from_secs(3600), circuit.permit()).await;
        assert!(other.is_err(), "one probe at a time");
        probe.answered();
        assert!(!circuit.permit().await.unwrap().is_probe());
        assert_eq!(*status.borrow(), CircuitStatus::default());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_a_probe_that_is_dropped_hands_on_its_turn() {
        let circuit = circuit(1);
        assert!(circuit.permit().await.unwrap().failed("away"));
        let mut waits = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            assert!(circuit.permit().await.unwrap().failed("away"));
            waits.push(start.elapsed());
        }
        assert!(waits[4] >= Duration::from_secs(30) && waits[4] <= Duration::from_secs(60), "{waits:?}");
        drop(circuit.permit().await.unwrap());
        let start = Instant::now();
        assert!(circuit.permit().await.unwrap().is_probe() && start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_takes_one_more_message_for_each_probe_that_failed() {
        let circuit = circuit(1);
        assert_eq!(circuit.room(16).await, 16);
        assert!(circuit.permit().await.unwrap().failed("away"));
        let held = tokio::spawn({
            let circuit = circuit.clone();
            async move {
                circuit.permit().await.unwrap().failed("away");
                circuit.permit().await
            }
        });
        tokio::task::yield_now().await;
        assert!(tokio::time::timeout(Duration::from_secs(1), circuit.room(16)).await.is_err());
        assert_eq!(circuit.room(16).await, 1, "after the probe has failed");
        circuit.give_up();
        assert!(held.await.unwrap().is_none());
    }
}
