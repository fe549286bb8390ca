//! Strangler fig: capabilities move from an old system to a new one, one by one, with proof.
//!
//! ```text
//!                        ┌ decide ──► old or new, by key                   lock-free, from a snapshot
//!  gateway ── request ──►│
//!                        └ Shadow ──► the other side too ─► compare ─► counts ┐
//!                                     (its own pool, bytes and bounds)        │   every gateway
//!   ┌─────────────────────────────────────────────────────────────────────────┘
//!   ▼                          ┌ pass: one rung up, after a while
//!  Registry ── all counts ──► gate ── unknown: hold                ── compare-and-set ──► store, with a journal
//!   ▲                          └ fail: everything goes back              who · when · why
//!   └────────────────────────── every gateway follows within a second ◄─────┘
//! ```
//!
//! The file sets the bounds: the two services, the stages, the rules of comparison, the thresholds ([`FeatureOptions`]). How far
//! a feature has come is in the store, with a journal, so that a deployment of the file never fights with the gate.
//!
//! What is promised:
//! * *A key stays on its side.* A greater share only adds keys, a smaller one only takes the last ones back ([`cohort`]).
//! * *Back is as easy as forward*, by an order of a person or of the gate, and the kill switch works at any stage ([`Order`]).
//! * *Nothing is taken for good news that is not known*: pass needs proof, and missing data holds ([`gate`]).
//! * *Whoever watches disturbs nobody*: shadowing never delays a request, and is the first to be dropped ([`Shadow`]).
//! * *Whoever hangs is found out while it hangs*: who is kept waiting for too long has been failed ([`Call`]).
//! * *What the old system is unsure of itself is not held against the new one*, on any gateway ([`Noisy`]).
//! * *One side decides on writes*, and the other is fed in order, once ([`Feed`]).
//! * *The end is proven*: no traffic to the old side for so long, its last caller named ([`removable`] names the lines).
//!
//! When the store is away, features stay as they are. When a gateway dies, its counts stay. When two decide at once, one does.
//!
//! The crate knows no gateway: a gateway asks with plain data and hands in its client through [`Sender`].

mod budget;
pub mod cohort;
pub mod compare;
mod decide;
mod error;
mod feature;
mod flight;
pub mod gate;
pub mod identity;
mod metrics;
mod noise;
mod options;
mod pace;
mod progress;
mod registry;
mod retire;
pub mod rewrite;
mod rows;
mod send;
mod shadow;
mod share;
mod side;
mod sketch;
mod stage;
mod tally;
#[cfg(test)]
mod testing;
mod unmapped;
mod usage;
mod writes;

pub use budget::{Budget, Reserved};
pub use cohort::Key;
pub use decide::{Asked, Decision, Serve, is_safe};
pub use error::Error;
pub use feature::{Call, Feature, Sampled};
pub use metrics::Metrics;
pub use noise::{Counted, Noise, Noisy};
pub use options::{
    CompareOptions, FeatureOptions, GateOptions, LoginOptions, NoiseOptions, OnBreach, ProofOptions,
    RetireOptions, RewriteOptions, ShadowWrites, SideRewrite, Tolerance, TranslatorNames, WriteOptions,
};
pub use progress::{FeatureProgress, Progress};
pub use registry::{Prepared, Registry, RegistryOptions, Translators};
pub use retire::{Lines, Removable, removable};
pub use rows::Change;
pub use send::{Began, Request, Sender, Unsent};
pub use shadow::{Job, Primary, Shadow, ShadowCounts, ShadowOptions};
pub use share::{NoShare, Share};
pub use side::Side;
pub use sketch::Heavy;
pub use stage::{Bounds, Event, Hold, Order, Stage, State, step};
pub use unmapped::{Unmapped, template};
pub use usage::Used;
pub use writes::{Applier, Feed, Write};
