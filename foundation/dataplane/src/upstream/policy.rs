//! What a user writes about a service that is called.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ejection::Ejection;
use super::health::HealthPolicy;
use crate::resilience::{BreakerPolicy, BudgetPolicy, HedgePolicy, LimitPolicy, RetryPolicy};

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The one with the fewest requests in flight: of all in a small set, of two drawn at random in a larger one
    /// (Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, 2001).
    #[default]
    LeastRequest,
    /// The one with the shortest wait to expect, drawn alike: its latency, a moving average that rises at once and falls
    /// slowly, times its requests in flight (Peak-EWMA; Twitter's Finagle, 2015).
    PeakEwma,
    /// One after the other.
    RoundRobin,
    /// The one that owns the request's key on a ring of hashes (Karger and others, *Consistent Hashing and Random Trees*,
    /// 1997), or the next on the ring that has room (Mirrokni, Thorup and Zadimoghaddam, *Consistent Hashing with Bounded
    /// Loads*, 2016). A request without a key goes where the fewest are in flight.
    ConsistentHash,
}

/// How a service is called: everything between the decision to call it and its answer. Changeable while it runs; what
/// is known of the service and its endpoints stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServicePolicy {
    /// How an endpoint is chosen.
    #[serde(rename = "balance")]
    pub strategy: Strategy,
    /// With `consistent-hash`: the most that an endpoint may have in flight, in percent of its fair share.
    pub hash_load_max_percent: u32,
    /// When an endpoint that fails is left alone.
    #[serde(rename = "eject")]
    pub ejection: Ejection,
    /// For how long the share of an endpoint that is new, or has recovered, grows to its full size. Without it, it is
    /// full at once.
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// How endpoints are asked whether they are well. Without it, only discovery and their answers tell.
    #[serde(rename = "probe")]
    pub health: Option<HealthPolicy>,
    /// When the whole service is left alone. Without it, never.
    #[serde(rename = "circuit")]
    pub breaker: Option<BreakerPolicy>,
    /// Requests to the service at one time; more are refused, or wait.
    pub in_flight_max: Option<NonZeroU32>,
    /// Requests that may wait for another to end; more are refused at once.
    pub pending_max: u32,
    /// A limit of the requests at one time that finds itself. Without it, there is none.
    pub limit: Option<LimitPolicy>,
    /// What is sent again. Unless it says more, only what never left: a connection could not be opened.
    pub retry: RetryPolicy,
    /// How much of it, all requests together.
    pub budget: BudgetPolicy,
    /// What is sent twice without waiting for a failure. Without it, nothing.
    pub hedge: Option<HedgePolicy>,
    /// How long opening a connection to an endpoint may take.
    #[serde(with = "dozen_core::duration")]
    pub connect_timeout: Duration,
    /// A set of fewer endpoints is taken for a fault of the registry, and the last larger one stays in use for a while. 0
    /// believes every set.
    pub endpoints_min: u32,
    /// How long that is.
    #[serde(with = "dozen_core::duration")]
    pub keep_last: Duration,
}

impl Default for ServicePolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            hash_load_max_percent: 125,
            ejection: Ejection::default(),
            slow_start: None,
            health: None,
            breaker: None,
            in_flight_max: None,
            pending_max: 0,
            limit: None,
            retry: RetryPolicy::of_connections(),
            budget: BudgetPolicy::default(),
            hedge: None,
            connect_timeout: Duration::from_secs(2),
            endpoints_min: 0,
            keep_last: Duration::from_secs(600),
        }
    }
}

/// A setting of a policy that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` {must}")]
pub struct PolicyError {
    /// The setting, from the policy on.
    pub setting: &'static str,
    /// What it has to be.
    pub must: &'static str,
}

/// Shorter windows would count nothing, and shorter intervals do nothing else.
const SHORTEST: Duration = Duration::from_millis(10);

impl ServicePolicy {
    /// Whether requests are sent again, or twice, that may have arrived.
    pub fn repeats(&self) -> bool {
        self.hedge.is_some() || self.retry.repeats()
    }

    /// Whether every setting can work; the first that cannot.
    pub fn check(&self) -> Result<(), PolicyError> {
        let positive = "must be at least 1";
        let longer = "must be at least 10ms";
        let percent = "must be from 1 to 100";
        let is_percent = |value: u32| (1..=100).contains(&value);
        let rule =
            |holds: bool, setting, must| if holds { Ok(()) } else { Err(PolicyError { setting, must }) };
        rule(self.hash_load_max_percent > 100, "hash-load-max-percent", "must be more than 100")?;
        rule(self.ejection.failures > 0, "eject.failures", positive)?;
        rule(self.ejection.failure_percent <= 100, "eject.failure-percent", "must be at most 100")?;
        rule(self.ejection.window >= SHORTEST, "eject.window", longer)?;
        if let Some(health) = &self.health {
            rule(health.path.starts_with('/'), "probe.path", "must begin with `/`")?;
            rule(health.path.parse::<http::Uri>().is_ok(), "probe.path", "must be a path, as in a URL")?;
            rule(health.interval >= SHORTEST, "probe.interval", longer)?;
            rule(health.timeout >= SHORTEST, "probe.timeout", longer)?;
            rule(health.jitter_percent <= 100, "probe.jitter-percent", "must be at most 100")?;
            rule(health.healthy_after > 0, "probe.healthy-after", positive)?;
            rule(health.unhealthy_after > 0, "probe.unhealthy-after", positive)?;
        }
        if let Some(breaker) = &self.breaker {
            rule(breaker.window >= SHORTEST, "circuit.window", longer)?;
            rule(breaker.open >= SHORTEST, "circuit.open", longer)?;
            rule(is_percent(breaker.failure_percent), "circuit.failure-percent", percent)?;
            rule(breaker.trials > 0, "circuit.trials", positive)?;
        }
        if let Some(limit) = &self.limit {
            rule(limit.min > 0, "limit.min", positive)?;
            rule(limit.max >= limit.min, "limit.max", "must be at least `limit.min`")?;
            rule(limit.window >= SHORTEST, "limit.window", longer)?;
        }
        rule(
            self.pending_max == 0 || self.in_flight_max.is_some(),
            "pending-max",
            "needs `in-flight-max`: nothing waits otherwise",
        )?;
        rule(self.retry.attempts_max > 0, "retry.attempts-max", positive)?;
        rule(self.budget.window >= SHORTEST, "budget.window", longer)?;
        rule(self.connect_timeout > Duration::ZERO, "connect-timeout", "must be longer than nothing")
    }
}
