//! How often, and how much at once.
//!
//! ```text
//!            key: route · consumer · claim · header · address · CEL
//!             │
//! request ──► Limiter ──► local:  one number for each key, on this gateway
//!             │           shared: the same, and what all gateways counted together, in the store
//!             ▼
//!          Decision ──► RateLimit, RateLimit-Policy, Retry-After
//! ```
//!
//! A limit is a rate and a burst, decided by the generic cell rate algorithm: [`Gcra`]. In any stretch of time at most
//! `burst + rate × time` requests pass. A decision is made on the spot, without I/O, also when the limit is shared; then an error
//! is possible, and `shared.rs` says how large it is, and why. [`InFlight`] bounds what goes on at once, and the [`Shedder`] of the
//! whole gateway lets go of what matters least first.
//!
//! Everything that grows with what clients send is bounded: the keys of a limit above all. Where there is no room for
//! another key, those are forgotten that nobody asked for the longest, and of these last the ones that have used most: it
//! gives back what they had used, and no more.

mod fields;
mod gcra;
mod in_flight;
mod key;
mod keyed;
mod limiter;
mod local;
mod members;
mod options;
mod rate;
mod shared;

pub use fields::{Policy, fields};
pub use gcra::{Cell, Decision, Gcra};
pub use in_flight::{InFlight, Permit, Priority, Shedder};
pub use limiter::Limiter;
pub use options::{InFlightOptions, LimitOptions, OnStoreLoss, Per, PlanOptions, ShedOptions};
pub use rate::Rate;
pub use shared::SharedHealth;

pub(crate) use key::KeyOf;
pub(crate) use members::Members;

#[cfg(test)]
mod tests;
