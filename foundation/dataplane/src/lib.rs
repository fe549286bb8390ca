//! The HTTP engine.

mod body;
mod buffer;
mod client;
mod error;
pub mod framing;
mod listen;
mod problem;
mod proxy;
mod server;
mod ticker;
mod upstream;

pub use body::Body;
pub use client::Client;
pub use dozen_lifecycle::BoxError;
pub use error::Error;
pub use problem::{problem, problem_document};
pub use proxy::{
    Answered, Changes, Content, Cutoff, Failure, Forward, Handler, Incoming, Outcome, Outgoing, Proxy,
    ProxyOptions, Reply, Verdict,
};
pub use server::{Limits, Peer, Server};
pub use upstream::{Ejection, EndpointView, Lease, Resolve, Strategy, Upstream, Upstreams};
