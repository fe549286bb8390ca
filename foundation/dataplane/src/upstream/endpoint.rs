//! What is known of one address of one service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Shared by all workers; read and written with atomics only.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// Unique in this process; the key of the connection pools.
    pub(crate) id: u64,
    pub(crate) address: Arc<str>,
    /// The address as numbers, unless it is a name that has to be looked up.
    pub(crate) socket: Option<SocketAddr>,
    in_flight: AtomicU32,
    /// In a row.
    failures: AtomicU32,
    /// Since it last worked.
    ejections: AtomicU32,
    /// In the milliseconds of the upstream's clock; 0 while it is not ejected.
    ejected_until: AtomicU64,
}

impl EndpointState {
    pub(crate) fn new(address: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            address: address.into(),
            socket: address.parse().ok(),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it was ejected and the time has not passed. `now` is asked for only if it ever was.
    pub(crate) fn is_ejected(&self, now: impl FnOnce() -> u64) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        until != 0 && now() < until
    }

    /// Whether anything of it is worth remembering when it leaves the set.
    pub(crate) fn is_spotless(&self) -> bool {
        self.failures.load(Ordering::Relaxed) == 0 && self.ejections.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn succeeded(&self) {
        // Reads are shared between cores and writes are not, so the usual case only reads.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.ejections.load(Ordering::Relaxed) != 0 {
            self.ejections.store(0, Ordering::Relaxed);
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    /// The failures in a row, this one included.
    pub(crate) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(crate) fn eject(&self, now: u64, base: Duration, cap: Duration) -> Duration {
        let times = self.ejections.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let length = base.saturating_mul(times).min(cap);
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until.store(now.saturating_add(millis), Ordering::Relaxed);
        length
    }
}

/// A request's claim on an endpoint: in flight until it is dropped.
#[derive(Debug)]
pub struct Lease {
    pub(crate) state: Arc<EndpointState>,
}

impl Lease {
    pub(super) fn take(state: &Arc<EndpointState>) -> Self {
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { state: state.clone() }
    }

    /// `host:port`.
    pub fn address(&self) -> &Arc<str> {
        &self.state.address
    }

    /// What to hand to `pick` to get another endpoint.
    pub fn id(&self) -> u64 {
        self.state.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An endpoint as it stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// `host:port`.
    pub address: String,
    /// Whether discovery says that it may take traffic.
    pub healthy: bool,
    /// Whether it failed too often and is left alone for now.
    pub ejected: bool,
    /// Requests that it has not answered yet.
    pub in_flight: u32,
}
