//! Where a service can be reached: the data through which discovery and its users meet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One live instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The instance, unique within its service.
    pub id: String,
    /// `host:port`, an address to connect to.
    pub address: String,
    /// `host:port` as it was written, where the address was looked up from a host's name: what TLS and the `Host` header go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its share of the traffic, relative to the other instances. 0 takes none.
    pub weight: u32,
    /// The failure domain it stands in, where that is known.
    pub zone: Option<String>,
    /// False while its health check fails. Kept in the set, so that a caller can tell "none" from "none healthy".
    pub healthy: bool,
    /// What the instance said of itself.
    pub metadata: BTreeMap<String, String>,
}

impl Endpoint {
    /// A healthy instance of weight 1 whose id is its address.
    pub fn at(address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            id: address.clone(),
            address,
            host: None,
            weight: 1,
            zone: None,
            healthy: true,
            metadata: BTreeMap::new(),
        }
    }
}

/// All known instances of one service at one moment. Immutable: a change is a new set with a higher version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSet {
    /// The service's name.
    pub service: String,
    /// Grows with each change of this service's set.
    pub version: u64,
    /// Its instances, ordered by id.
    pub endpoints: Vec<Endpoint>,
}

impl EndpointSet {
    /// A set without an instance.
    pub fn empty(service: impl Into<String>) -> Self {
        Self { service: service.into(), ..Self::default() }
    }

    /// The instances that may receive traffic.
    pub fn healthy(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(|endpoint| endpoint.healthy && endpoint.weight > 0)
    }
}
