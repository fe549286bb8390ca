//! How requests and probes ended, and what follows from it for their endpoint and its service.

use std::time::Duration;

use super::endpoint::EndpointState;
use super::health::Health;
use super::shared::count;
use super::{Lease, Upstream};

impl Upstream {
    /// The answer to the request on `lease` begins. Its latency is counted up to here, and not to the end of a body that
    /// may stream for hours.
    pub fn heard(&self, lease: &Lease) {
        lease.hear(self.clock.now());
    }

    /// How long the answer took to begin, or else until now.
    pub(crate) fn waited(&self, lease: &Lease) -> Duration {
        lease.latency(self.clock.now())
    }

    /// The request on `lease` was answered.
    pub fn succeeded(&self, lease: &Lease) {
        self.settle(lease, true);
    }

    /// The request on `lease` failed in a way that is the endpoint's fault.
    pub fn failed(&self, lease: &Lease) {
        self.settle(lease, false);
    }

    /// The first word about a lease counts, and no other.
    fn settle(&self, lease: &Lease, is_good: bool) {
        if !lease.settle() {
            return;
        }
        let (roster, now) = (self.roster.load(), self.clock.now());
        let (policy, state) = (&roster.policy, &lease.state);
        let latency = lease.latency(now);
        if self.shared.ended(is_good, lease.trial, now, latency, policy) {
            count(&self.shared.counters.circuit_opened);
            tracing::warn!(
                service = &*self.name,
                "most requests fail; the service is left alone for a moment"
            );
        }
        if is_good {
            state.latency.answered(now, latency);
            if state.record.succeeded(lease.sent, now, &policy.ejection) {
                roster.take_census(now);
            }
            return;
        }
        state.latency.failed(now, latency);
        if !state.record.failed(now, &policy.ejection) || !roster.can_spare_one(now) {
            return;
        }
        let Some(length) = state.record.eject(now, &policy.ejection) else { return };
        roster.take_census(now);
        count(&self.shared.counters.ejections);
        tracing::warn!(
            service = &*self.name,
            address = &*state.address,
            for_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            "an endpoint keeps failing and is left alone for a while"
        );
    }

    /// What a probe found.
    pub(super) fn probed(&self, state: &EndpointState, is_good: bool) {
        let (roster, now) = (self.roster.load(), self.clock.now());
        let Some(policy) = &roster.policy.health else { return };
        let before = state.standing();
        let after = before.after(is_good, policy);
        state.set_standing(after);
        if !is_good {
            count(&self.shared.counters.probes_failed);
        }
        let is_steady = after.streak.unsigned_abs() >= policy.healthy_after;
        // The next failure counts as one more in the row, so an endpoint that only looks well is ejected again at once.
        let is_back = is_good && is_steady && state.record.readmit(now);
        if before.health == after.health && !is_back {
            return;
        }
        let (service, address) = (&*self.name, &*state.address);
        match after.health {
            Health::Unhealthy => tracing::warn!(service, address, "an endpoint does not answer its probes"),
            _ => {
                if before.health == Health::Unhealthy {
                    state.warm_from(now);
                }
                tracing::info!(service, address, "an endpoint answers its probes");
            }
        }
        roster.take_census(now);
    }
}
