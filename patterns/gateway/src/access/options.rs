//! What a user writes about who may pass, and how often.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::auth::{AuthOptions, ConsumerOptions, MethodOptions};
use crate::limit::{InFlightOptions, LimitOptions, PlanOptions, Priority, ShedOptions};
use crate::network::{self, Network};
use crate::one_or_many::one_or_many;

/// Consumers by name.
pub(crate) type ConsumerTable = BTreeMap<String, ConsumerOptions>;

/// What all routes of a gateway share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessOptions {
    /// The ways to show who one is, by name: `web: { jwt: … }`.
    pub identity: BTreeMap<String, MethodOptions>,
    /// Who is known by name: `mobile: { key: sha256:…, plan: free }`.
    pub consumers: BTreeMap<String, ConsumerOptions>,
    /// What consumers may do over all routes: `free: { limit: { rate: 60/1m } }`.
    pub plans: BTreeMap<String, PlanOptions>,
    /// When the whole gateway has too much to do.
    pub shed: Option<ShedOptions>,
}

/// From where requests may come: `clients: 10.0.0.0/8`, or this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientsOptions {
    /// Addresses and networks of those who may pass; without any, everybody that is not in `deny`.
    #[serde(deserialize_with = "one_or_many")]
    pub allow: Vec<Network>,
    /// Of those who may not, also if they are in `allow`.
    #[serde(deserialize_with = "one_or_many")]
    pub deny: Vec<Network>,
}

impl ClientsOptions {
    /// Whether somebody at this address may pass.
    pub(super) fn admit(&self, address: IpAddr) -> bool {
        let is_allowed = self.allow.is_empty() || network::any(&self.allow, address);
        is_allowed && !network::any(&self.deny, address)
    }
}

/// What one route says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteAccess {
    /// From where requests may come; without it, from anywhere.
    pub clients: Option<ClientsOptions>,
    /// Who may pass; without it, everybody.
    pub auth: Option<AuthOptions>,
    /// How often; one limit or several, which all must hold.
    #[serde(deserialize_with = "one_or_many")]
    pub limit: Vec<LimitOptions>,
    /// How much at once.
    pub in_flight: Option<InFlightOptions>,
    /// How much its requests matter when the gateway has too much to do.
    pub priority: Priority,
}
