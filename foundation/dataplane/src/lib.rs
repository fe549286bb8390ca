//! The HTTP engine.

mod body;
mod buffer;
mod client;
mod error;
pub mod framing;
mod listen;
mod moment;
mod problem;
mod proxy;
pub mod resilience;
mod server;
mod ticker;
mod upstream;

pub use body::Body;
pub use client::Client;
pub use dozen_lifecycle::BoxError;
pub use error::Error;
pub use moment::{ManualTime, Moment, Monotonic, RunningTime};
pub use problem::{problem, problem_document};
pub use proxy::{
    Failure, Forward, Handler, Incoming, Outcome, Outgoing, Proxy, ProxyOptions, Reply, Verdict,
};
pub use server::{Limits, Peer, Server};
pub use upstream::{
    Ejection, EndpointView, Health, HealthPolicy, Lease, PolicyError, Probes, Resolve, ServicePolicy,
    ServiceView, Strategy, Totals, Unavailable, Upstream, Upstreams, Want, hash_key,
};
