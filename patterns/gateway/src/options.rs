//! What a user writes about a gateway.

mod access;
mod action;
mod calling;
mod headers;
mod matching;
mod route;
mod shape;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use dozen_dataplane::{BodyRate, ServicePolicy};
use serde::{Deserialize, Serialize};

use crate::Network;
use crate::access::AccessOptions;
use crate::auth::{ConsumerOptions, MethodOptions};
use crate::limit::{PlanOptions, ShedOptions};

pub use access::{AccessLogOptions, QueryShown};
pub use action::{Answer, Deprecated, Destination, Redirect, Rewrite};
pub use calling::{Certificate, ClientCaOptions, ServiceOptions, ServiceTls, TlsOptions};
pub use headers::{Change, CorsOptions, HeaderOptions};
pub use matching::Match;
pub use route::RouteOptions;
pub use shape::{CacheOptions, CompressOptions, OpenapiOptions, Translation, ValidateOptions};

/// The section `gateway`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Threads; without it, one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Client connections at one time.
    pub connections_max: NonZeroUsize,
    /// Of these, from one address: trusted proxies aside, and a /64 of IPv6 counts as one.
    pub connections_per_address: NonZeroUsize,
    /// Bytes of a request's head.
    pub head_max: NonZeroUsize,
    /// From the first byte of a request's head to its last.
    #[serde(with = "dozen_core::duration")]
    pub header_timeout: Duration,
    /// How long a client connection is kept without a request.
    #[serde(with = "dozen_core::duration")]
    pub idle_timeout: Duration,
    /// How long either side may neither send nor take anything of a body.
    #[serde(with = "dozen_core::duration")]
    pub stall_timeout: Duration,
    /// Bytes a second that a client has to send of a body, and to take of one, after the first five seconds; 0 for none.
    pub body_rate_min: u32,
    /// TLS towards clients; plain TCP without.
    pub tls: Option<TlsOptions>,
    /// How services are called that are not named in `services`.
    pub usual: ServicePolicy,
    /// How those are called that are.
    pub services: BTreeMap<String, ServiceOptions>,
    /// Proxies in front of this one whose `X-Forwarded-…` headers are believed.
    pub trusted: Vec<Network>,
    /// Where a line for each request is written; nowhere without it.
    pub access_log: Option<AccessLogOptions>,
    /// The ways to show who one is, by name; routes choose among them.
    pub identity: BTreeMap<String, MethodOptions>,
    /// Who is known by name.
    pub consumers: BTreeMap<String, ConsumerOptions>,
    /// What consumers may do over all routes, by the plan's name.
    pub plans: BTreeMap<String, PlanOptions>,
    /// When the whole gateway has too much to do; without it, never.
    pub shed: Option<ShedOptions>,
    /// Which requests go where. The most specific match wins; the order means nothing.
    pub routes: Vec<RouteOptions>,
}

impl Default for Options {
    fn default() -> Self {
        let [connections_max, connections_per_address, head_max] =
            [50_000, 5_000, 16 * 1024].map(|count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN));
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080),
            workers: None,
            connections_max,
            connections_per_address,
            head_max,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(300),
            body_rate_min: BodyRate::USUAL.bytes_per_second_min.get(),
            tls: None,
            usual: ServicePolicy::default(),
            services: BTreeMap::new(),
            trusted: Vec::new(),
            access_log: None,
            identity: BTreeMap::new(),
            consumers: BTreeMap::new(),
            plans: BTreeMap::new(),
            shed: None,
            routes: Vec::new(),
        }
    }
}

impl Options {
    /// What all routes share of who may pass, and how often.
    pub(crate) fn access(&self) -> AccessOptions {
        AccessOptions {
            identity: self.identity.clone(),
            consumers: self.consumers.clone(),
            plans: self.plans.clone(),
            shed: self.shed.clone(),
        }
    }
}
