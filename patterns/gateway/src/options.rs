//! What a user writes about a gateway.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// How long opening a connection to a service may take.
    #[serde(with = "dozen_core::duration")]
    pub connect_timeout: Duration,
    /// Failures in a row after which an endpoint is left alone for a while.
    pub eject_after: u32,
    /// For how long the first time; each time after, so much longer.
    #[serde(with = "dozen_core::duration")]
    pub eject_for: Duration,
    /// How endpoints are chosen.
    pub balance: dozen_dataplane::Strategy,
    /// Proxies in front of this one whose `X-Forwarded-…` headers are believed.
    pub trusted: Vec<IpAddr>,
    /// Which requests go where. The most specific match wins; the order means nothing.
    pub routes: Vec<RouteOptions>,
}

impl Default for Options {
    fn default() -> Self {
        let [connections_max, head_max] =
            [50_000, 16 * 1024].map(|count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN));
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080),
            workers: None,
            connections_max,
            head_max,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(2),
            eject_after: 5,
            eject_for: Duration::from_secs(10),
            balance: dozen_dataplane::Strategy::default(),
            trusted: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteOptions {
    /// What it is called in logs and explanations; without it, its methods and path.
    #[serde(default)]
    pub name: Option<String>,
    /// Which requests it takes.
    #[serde(rename = "match")]
    pub matching: Match,
    /// The service, and the path there if it differs from the request's: `orders` or `orders:/orders/{id}`.
    pub to: String,
    /// How long the service may take from the end of the request to the head of its answer.
    #[serde(default = "timeout", with = "dozen_core::duration")]
    pub timeout: Duration,
    /// How long all of it may take, the bodies included. Without it a stream may go on for ever.
    #[serde(default, with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
    /// Bytes of a request's body.
    #[serde(default = "body_max")]
    pub body_max: u64,
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

fn body_max() -> u64 {
    16 * 1024 * 1024
}

impl RouteOptions {
    /// Every method on `path`, to `to`, within the default limits.
    pub fn new(path: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            name: None,
            matching: Match { path: path.into(), ..Match::default() },
            to: to.into(),
            timeout: timeout(),
            total: None,
            body_max: body_max(),
        }
    }

    /// The name, or what stands for it.
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let mut name = self.matching.method.join(",");
        if !name.is_empty() {
            name.push(' ');
        }
        name + self.matching.host.as_deref().unwrap_or("") + &self.matching.path
    }
}

/// Which requests a route takes. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Match {
    /// A path; `{id}` takes one segment, `{*rest}` at the end takes all that follow.
    pub path: String,
    /// One method or several; without it, every method. `GET` includes `HEAD`.
    #[serde(deserialize_with = "one_or_many")]
    pub method: Vec<String>,
    /// This host, or `*.example.com`; without it, every host.
    pub host: Option<String>,
    /// Headers that must have this value; `*` is any value.
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must have this value; `*` is any value.
    pub query: BTreeMap<String, String>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}
