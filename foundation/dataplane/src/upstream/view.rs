//! A service and its endpoints as they stand, for people and for metrics.

use std::collections::HashMap;

use dozen_core::Endpoint;
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::roster::Roster;
use super::{Strategy, Totals, Upstream};
use crate::moment::{Moment, micros};
use crate::resilience::Circuit;

/// Endpoints that are shown.
const SHOWN_MAX: usize = 1000;

/// An endpoint as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// `host:port`.
    pub address: String,
    /// Whether discovery says that it may take traffic.
    pub healthy: bool,
    /// What its probes say.
    pub probed: Health,
    /// Whether it failed too often and is left alone for now.
    pub ejected: bool,
    /// How often it was, and has not been forgiven.
    pub ejections: u32,
    /// Requests that it has not answered yet.
    pub in_flight: u32,
    /// Its share of the traffic, relative to the others.
    pub weight: u32,
    /// How much of that it gets, in percent: less than 100 while it warms up.
    pub share_percent: u32,
    /// The moving average of its latency that `peak-ewma` reckons with, in microseconds.
    pub latency_us: u64,
}

/// A service as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// How endpoints are chosen.
    pub strategy: Strategy,
    /// How its circuit stands.
    pub circuit: Circuit,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests that wait for one of those to end.
    pub pending: u32,
    /// The limit that has found itself, where there is one.
    pub limit: Option<u32>,
    /// Retries that its budget could pay for now.
    pub retries_left: u64,
    /// Within which half of its answers came lately, in microseconds; nothing while they are few.
    pub latency_us_p50: Option<u64>,
    /// The same of 95 in a hundred.
    pub latency_us_p95: Option<u64>,
    /// The same of 99 in a hundred.
    pub latency_us_p99: Option<u64>,
    /// Milliseconds for which a set is still used that the registry no longer gives.
    pub kept_ms: Option<u64>,
    /// Whether so many are ejected that ejections are not looked at.
    pub panic: bool,
    /// What happened since the start of the process.
    pub totals: Totals,
    /// Its endpoints, up to a thousand.
    pub endpoints: Vec<EndpointView>,
    /// How many more there are.
    pub endpoints_more: usize,
}

impl Upstream {
    /// All endpoints as they stand, up to a thousand.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        let roster = self.roster();
        let set = self.source().used.clone();
        self.show(&roster, &set.endpoints)
    }

    fn show(&self, roster: &Roster, endpoints: &[Endpoint]) -> Vec<EndpointView> {
        let now = self.clock.now();
        let members: HashMap<&str, _> =
            roster.members.iter().map(|member| (&*member.state.address, &member.state)).collect();
        let one = |endpoint: &Endpoint| {
            let state = members.get(endpoint.address.as_str());
            let share = state.map_or(0.0, |state| state.share(now, roster.policy.slow_start));
            EndpointView {
                address: endpoint.address.clone(),
                healthy: endpoint.healthy && endpoint.weight > 0,
                probed: state.map_or(Health::Unknown, |state| state.standing().health),
                ejected: state.is_some_and(|state| state.record.is_ejected(now)),
                ejections: state.map_or(0, |state| state.record.unforgiven(now, &roster.policy.ejection)),
                in_flight: state.map_or(0, |state| state.in_flight()),
                weight: endpoint.weight,
                share_percent: (share * 100.0).round() as u32,
                latency_us: state.map_or(0, |state| state.latency.micros(now) as u64),
            }
        };
        endpoints.iter().take(SHOWN_MAX).map(one).collect()
    }

    /// The service as it stands. Costs as much as a few requests.
    pub fn view(&self) -> ServiceView {
        let roster = self.roster();
        let set = self.source().used.clone();
        let now = self.clock.now();
        let (policy, shared) = (&roster.policy, &self.shared);
        let quantile = |percent| shared.latencies.quantile(now, percent).map(micros);
        let kept_ms = |until: Moment| u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
        ServiceView {
            service: self.service().to_string(),
            strategy: policy.strategy,
            circuit: policy.breaker.map_or(Circuit::Closed, |_| shared.breaker.circuit(now)),
            in_flight: shared.in_flight(),
            pending: shared.pending(),
            limit: policy.limit.map(|limit| shared.limiter.limit(&limit)),
            retries_left: shared.budget.left(now, &policy.budget),
            latency_us_p50: quantile(50),
            latency_us_p95: quantile(95),
            latency_us_p99: quantile(99),
            kept_ms: roster.kept_until.map(kept_ms),
            panic: roster.is_panic(),
            totals: shared.totals(),
            endpoints: self.show(&roster, &set.endpoints),
            endpoints_more: set.endpoints.len().saturating_sub(SHOWN_MAX),
        }
    }
}
