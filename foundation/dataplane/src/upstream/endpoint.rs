//! What is known of one address of one service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dozen_core::Endpoint;

use super::ejection::Record;
use super::health::{Health, Standing};
use super::shared::Shared;
use crate::address::Address;
use crate::moment::Moment;
use crate::resilience::Ewma;

/// What an endpoint begins with that warms up: little enough to be harmless, and enough to be seen.
const SHARE_MIN: f32 = 0.1;

/// Shared by all workers; read and written with atomics only.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// Unique in this process; the key of the connection pools.
    pub(crate) id: u64,
    /// `host:port`, as it is told to people.
    pub(crate) address: Arc<str>,
    /// The same, as it is connected to.
    pub(crate) at: Address,
    pub(super) service: Arc<Shared>,
    pub(super) record: Record,
    pub(super) latency: Ewma,
    in_flight: AtomicU32,
    is_in_use: AtomicBool,
    /// What the probes say: the opinion above, the streak below. Written by one prober.
    standing: AtomicU64,
    /// When its share began to grow; 0 if it began with all of it.
    warm_from: AtomicU64,
}

impl EndpointState {
    pub(super) fn new(endpoint: &Endpoint, service: Arc<Shared>, latency: Ewma) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            address: endpoint.address.as_str().into(),
            at: Address::new(&endpoint.address, endpoint.host.as_deref()),
            service,
            record: Record::default(),
            latency,
            in_flight: AtomicU32::new(0),
            is_in_use: AtomicBool::new(true),
            standing: AtomicU64::new(0),
            warm_from: AtomicU64::new(0),
        }
    }

    /// Whether it is this one, and called the same.
    pub(super) fn is_at(&self, endpoint: &Endpoint) -> bool {
        let name = endpoint.host.as_ref().unwrap_or(&endpoint.address);
        *self.address == *endpoint.address && *self.at.name == **name
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it stands in the set.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Relaxed)
    }

    pub(super) fn set_in_use(&self, is_in_use: bool) {
        self.is_in_use.store(is_in_use, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        let word = self.standing.load(Ordering::Relaxed);
        let health = match word >> 32 {
            1 => Health::Healthy,
            2 => Health::Unhealthy,
            _ => Health::Unknown,
        };
        Standing { health, streak: word as u32 as i32 }
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        let health = match standing.health {
            Health::Unknown => 0,
            Health::Healthy => 1,
            Health::Unhealthy => 2,
        };
        self.standing.store(health << 32 | u64::from(standing.streak as u32), Ordering::Relaxed);
    }

    /// Whether the probes say that it must not be used.
    pub(super) fn is_ill(&self) -> bool {
        self.standing().health == Health::Unhealthy
    }

    /// Its share begins to grow at `now`.
    pub(super) fn warm_from(&self, now: Moment) {
        self.warm_from.store(now.0, Ordering::Relaxed);
    }

    /// The part of its weight that it gets: less than all for `slow_start` after it came, or came back.
    pub(super) fn share(&self, now: Moment, slow_start: Option<Duration>) -> f32 {
        let Some(length) = slow_start.filter(|length| !length.is_zero()) else { return 1.0 };
        let came =
            Moment(self.warm_from.load(Ordering::Relaxed)).max(self.record.last_end().unwrap_or_default());
        if came.0 == 0 {
            return 1.0;
        }
        (now.since(came).as_secs_f32() / length.as_secs_f32()).clamp(SHARE_MIN, 1.0)
    }
}
