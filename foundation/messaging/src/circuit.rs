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

mod state;

use std::sync::Arc;

use dozen_core::{Ids, Mutex};
use dozen_lifecycle::or_never;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use state::{CircuitOptions, CircuitState, CircuitStatus};
use state::{Failed, State, Turn};

/// One receiver's circuit, shared by everything that sends to it. Cheap to clone.
#[derive(Clone)]
pub struct Circuit {
    options: CircuitOptions,
    ids: Ids,
    state: Arc<Mutex<State>>,
    /// Moves with each change of `state` that somebody may wait for.
    changed: watch::Sender<CircuitStatus>,
}

impl Circuit {
    /// A closed circuit.
    pub fn new(options: CircuitOptions, ids: Ids) -> Self {
        let changed = watch::channel(CircuitStatus::default()).0;
        Self { options, ids, state: Arc::default(), changed }
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
            let turn = self.with(|state| state.turn(waiter.ticket, Instant::now()));
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
            tokio::select! {
                _ = changed.changed() => {}
                () = or_never(until.map(sleep_until)) => {}
            }
        }
    }

    /// How many of `max` messages may be taken now; waits until it is at least one.
    pub async fn room(&self, max: usize) -> usize {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let room = self.with(|state| state.room(max));
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
        self.with(State::give_up);
        self.tell();
    }

    fn answered(&self) {
        let was_closed = self.with(|state| {
            let was_closed = state.is_closed();
            state.answered();
            was_closed
        });
        if !was_closed {
            self.tell();
        }
    }

    /// Says whether it is open now.
    fn failed(&self, probe: bool, error: &str) -> bool {
        let (now, moment, random) = (Instant::now(), self.ids.clock().now(), self.ids.random());
        let failed = Failed { probe, error, now, moment, random };
        let is_open = self.with(|state| {
            state.failed(&failed, &self.options);
            !state.is_closed()
        });
        self.tell();
        is_open
    }

    /// Wakes whoever waits.
    fn tell(&self) {
        let status = self.with(|state| state.status());
        self.changed.send_replace(status);
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
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
            self.circuit.with(|state| state.hand_on(Instant::now()));
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
        Self { circuit, ticket: circuit.with(State::join) }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let is_closed = self.circuit.with(|state| {
            state.leave(self.ticket);
            state.is_closed()
        });
        // Another one may be first in the row now.
        if !is_closed {
            self.circuit.tell();
        }
    }
}

#[cfg(test)]
mod tests;
