//! What a user writes about how often and how much.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Priority, Rate};
use crate::one_or_many::one_or_many;

/// One limit: `{ rate: 100/1m, per: consumer, burst: 20 }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitOptions {
    /// How many requests in how long: `100/1m`, `5/s`.
    pub rate: Rate,
    /// What is counted by.
    #[serde(default)]
    pub per: Per,
    /// How many may come at once; without it, as many as the rate names. In any stretch of time at most
    /// `burst + rate × time` pass.
    #[serde(default)]
    pub burst: Option<NonZeroU32>,
    /// Whether all gateways on the store count together. Without it each counts for itself.
    #[serde(default)]
    pub shared: bool,
    /// What happens when a shared limit's store is away.
    #[serde(default)]
    pub on_store_loss: OnStoreLoss,
    /// How often a shared limit meets the store.
    #[serde(default = "sync", with = "dozen_core::duration")]
    pub sync: Duration,
    /// About how many keys are remembered. Beyond, those that nobody asked for the longest begin anew, and of these last the ones
    /// that have used most.
    #[serde(default = "keys_max")]
    pub keys_max: NonZeroUsize,
}

impl LimitOptions {
    /// A rate over all requests of a route; all else as if it were not written.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            per: Per::default(),
            burst: None,
            shared: false,
            on_store_loss: OnStoreLoss::default(),
            sync: sync(),
            keys_max: keys_max(),
        }
    }
}

fn sync() -> Duration {
    Duration::from_millis(200)
}

fn keys_max() -> NonZeroUsize {
    NonZeroUsize::new(100_000).unwrap_or(NonZeroUsize::MIN)
}

/// What a limit counts by. A request that lacks it is counted by its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// All requests of the route together.
    #[default]
    Route,
    /// The consumer, or whom the token speaks of.
    Consumer,
    /// The client's address; of IPv6 its /64. Counted before it is known who asks, so that guessing is limited too.
    Address,
    /// A claim of the token.
    Claim(String),
    /// A header. A client chooses it, so it separates those who behave.
    Header(String),
    /// A text that an expression makes, over the same names as a rule.
    Cel(String),
}

impl Per {
    /// One word for clients.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Consumer => "consumer",
            Self::Address => "address",
            Self::Claim(_) => "claim",
            Self::Header(_) => "header",
            Self::Cel(_) => "key",
        }
    }
}

/// What happens to the requests of a shared limit while its store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStoreLoss {
    /// Each gateway counts for itself, with the whole rate.
    #[default]
    Local,
    /// All pass.
    Allow,
    /// All are refused with 503.
    Deny,
}

/// How many requests go on at once: `{ max: 50, per: consumer }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InFlightOptions {
    /// How many.
    pub max: NonZeroU32,
    /// What is counted by.
    #[serde(default)]
    pub per: Per,
}

/// When the whole gateway has too much to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShedOptions {
    /// Requests at one time. Those of low priority are refused from half of it on, normal ones from nine tenths.
    pub in_flight: NonZeroU32,
}

/// What consumers on a plan may do, over all routes together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanOptions {
    /// Their limits, each consumer counted by itself; `per` is not looked at.
    #[serde(deserialize_with = "one_or_many")]
    pub limit: Vec<LimitOptions>,
    /// How many requests of one consumer go on at once.
    pub in_flight: Option<NonZeroU32>,
    /// Their priority, instead of the route's.
    pub priority: Option<Priority>,
}
