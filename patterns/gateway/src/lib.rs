//! API gateway: one endpoint in front of every service.
//!
//! ```text
//!                 ┌─────────────── Gateway ────────────────┐
//! client ──HTTP──►│ strict framing ─► RouteTable ─► policy │──► an endpoint of the service
//!                 │    (dataplane)    (a snapshot)         │      (dataplane: pool, balancing, ejection)
//!                 └──────┬──────────────────────┬──────────┘
//!                    RequestLog            Explanation
//!                what went through      what would happen, and why
//! ```
//!
//! A route may say who passes ([`auth`]) and how often ([`limit`]); [`access`] is both together, and a [`Keeper`] has
//! what of it outlives a configuration.
//!
//! Promises: a request sees one configuration, the one that it began with, while the next is swapped in. The most
//! specific route wins, whatever the order of the file; two routes that could not be told apart are refused before
//! they take effect. What a client sees names no address, no product and no error text of what stands behind.
//!
//! When something fails the client gets a problem document (RFC 9457): 401 or 403 who may not pass, 404 no route, 405
//! with `Allow`, 413, 429 too often, 431, 502 no answer that can be passed on, 503 nothing healthy, 504 too late.

pub mod access;
mod access_log;
mod acme;
mod action;
mod amendment;
mod asked;
pub mod auth;
mod cache;
mod calling;
mod case;
mod compose;
mod condition;
mod cors;
mod decide;
mod deprecated;
mod diff;
mod door;
mod error;
mod explain;
mod feature;
mod forwarded;
mod gateway;
mod headers;
mod host;
mod identity;
mod keeper;
pub mod limit;
mod log;
mod measure;
mod mixed;
mod network;
mod one_or_many;
mod options;
mod path;
mod pattern;
mod places;
mod rank;
mod route;
mod shape;
mod snapshot;
mod spans;
mod split;
mod table;
mod take;
mod target;
mod template;
mod text;
mod to_https;
mod tree;
mod waiting;

pub use acme::{AcmeOptions, AcmeView};
pub use cache::Cached;
pub use calling::Calling;
pub use compose::{Compose, Planned};
pub use diff::{Changed, Closes, Diff, Recalled, diff};
pub use error::Error;
pub use explain::{Considered, Explanation, Question};
pub use feature::{Course, Ended, FeatureRequest, Features, Way, Witness};
pub use gateway::{Applied, Beside, Gateway};
pub use keeper::Keeper;
pub use log::{Request, RequestLog};
pub use measure::{DURATIONS_US, Measured, UNROUTED};
pub use network::Network;
pub use options::{
    AccessLogOptions, Answer, CacheOptions, Certificate, Change, ClientCaOptions, CompressOptions,
    CorsOptions, Deprecated, Destination, HeaderOptions, Match, OpenapiOptions, Options, QueryShown,
    Redirect, Rewrite, RouteOptions, ServiceOptions, ServiceTls, TlsOptions, Translation, ValidateOptions,
};
pub use route::Route;
pub use table::{Found, Hit, RouteTable};

#[cfg(test)]
mod tests;
