//! The HTTP engine.
//!
//! ```text
//!            TLS ┐                            ┌─ bytes to bytes ─► endpoint   HTTP/1.1 on both sides
//! client ── plain ┤ framing ─► Handler ─► … ──┤
//!         HTTP/2 ┘  one reading               └─ value to value ─► endpoint   HTTP/2 on either side
//!                                                              └─► service    `Serve`, and so every `Server`
//! ```
//!
//! A [`Proxy`] relays what its [`Handler`] decides; a [`Server`] hands everything to a `tower` service; a [`Caller`] asks a
//! service by its name for the runtime itself, and a [`Client`] whoever is at an address. All read what comes by the rules of
//! [`framing`].

mod address;
mod attempts;
mod body;
mod buffer;
mod caller;
mod client;
mod error;
pub mod framing;
mod headers;
mod listen;
mod moment;
mod pipe;
mod place;
mod problem;
mod proxy;
pub mod resilience;
mod server;
mod stream;
mod streams;
mod ticker;
mod tls;
mod upstream;

pub use body::Body;
pub use caller::{CallError, Caller};
pub use client::Client;
pub use dozen_lifecycle::BoxError;
pub use error::Error;
pub use listen::{Listening, Sockets};
pub use moment::{ManualTime, Moment, Monotonic, RunningTime};
pub use place::{Place, PlaceError};
pub use problem::problem_document;
pub use proxy::{
    Answered, Around, AttemptCount, BodyRate, Changes, Content, Context, Cutoff, Decision, Departed, Draft,
    Failure, Fields, Forward, Handler, Http2Limits, Incoming, Names, Next, Outcome, Outgoing, OwnKey, Proxy,
    ProxyOptions, Reply, Serve, Serving, Step, Trail, Verdict, nested,
};
pub use server::{Limits, Peer, Server};
pub use tls::{
    CertificateFacts, CertificateFiles, ChallengeAnswer, ClientCa, ClientIdentity, Protocol, Roots, Tls,
    TlsOptions, TlsSession, Transport, TransportTls,
};
pub use upstream::{
    Ejection, EndpointView, Health, HealthPolicy, Lease, PolicyError, Probes, Resolve, ServicePolicy,
    ServiceView, Strategy, Totals, Unavailable, Upstream, Upstreams, Want, hash_key,
};
