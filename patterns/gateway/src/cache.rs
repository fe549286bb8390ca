//! Answers that are kept to be used again: a shared cache (RFC 9111), with one flight for many that ask the same.
//!
//! ```text
//!            fresh ─► the copy
//! request ─► stale, and may be so ─► the copy, and a new one is fetched beside
//!            stale, with a validator ─► asked whether it still holds ─ 304 ─► the copy, fresh again
//!            nothing ─► one asks, the others wait for what it brings
//! ```
//!
//! What may be kept, for how long, and whether a copy answers a request, is decided in [`rules`] by pure functions from
//! heads and times alone; the rest of this module only does what they say. An answer is kept when it has come whole, so a
//! slow client keeps nobody waiting, and one that broke off is never kept. Whoever leads a flight and goes away hands it on
//! to one who waits. A flight that brought nothing to keep lets all who waited ask for themselves.
//!
//! It stands inside of what the route checks: who may pass, how often, and whether the request is valid. Two callers never
//! share an answer to a request with credentials unless the answer says so (§3.5).

mod bring;
mod directives;
mod exchange;
mod flight;
mod key;
mod policy;
mod rules;
mod said;
mod store;
mod whole;

pub(crate) use exchange::answer;
pub(crate) use policy::Policy;
pub use said::Cached;
pub(crate) use store::Cache;

#[cfg(test)]
mod tests;
