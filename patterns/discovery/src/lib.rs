//! Service discovery: who is alive, and where.
//!
//! ```text
//!  the file ── Names ── declare ─┐                                 ┌─ watch ──► gateway, sidecar, your client
//!                                ▼                                 │
//!  an instance ── register ──► Registry ── Arc<EndpointSet> ───────┼─ long poll ──► any language
//!        └── heartbeat ttl/3 ──►  │  version grows with each change └─ event stream ──► any language
//!                                 └─ missed? removed at its due time
//! ```
//!
//! Three kinds of knowledge meet in a [`Registry`]. What is *declared* (services of the configuration) stays until it
//! is declared otherwise; [`Names`] declares a host's name as the addresses behind it. What *registers* itself lives as
//! long as its heartbeats come. What a prober *observes* is a flag beside both: an unhealthy instance stays in the set, so
//! that a caller can tell "none" from "none healthy".
//!
//! The registry promises:
//! * *A watcher holds the present*: each change hands out a new immutable set with a higher version, and a look-up is
//!   a load from a local cell. Nothing that changes nothing wakes anyone: a heartbeat costs its watchers nothing.
//! * *An instance that falls silent is removed* when its time to live is over, by a timer set to that moment.
//! * *The wall clock does not matter*: leases run on the monotonic clock. A clock that is set back or forth expires
//!   nobody and keeps nobody. When the registry's own process was stopped, its instances get the time of one more
//!   heartbeat.
//! * *It is bounded*: services, instances, metadata, request bodies and waiting watchers, by [`Limits`].
//!
//! It keeps nothing on disk: an instance that is alive registers itself again within a third of its time to live
//! ([`Registration`] does), and clients go on with their last view meanwhile. A set is a fact about now.

mod error;
mod face;
mod limits;
mod lookup;
mod names;
mod problem;
mod registration;
mod registry;
mod state;
mod waiting;

pub use error::Error;
pub use face::router;
pub use limits::Limits;
pub use lookup::{Lookup, SystemLookup};
pub use names::Names;
pub use registration::{Registration, RegistrationOptions};
pub use registry::{Lease, Registry};
