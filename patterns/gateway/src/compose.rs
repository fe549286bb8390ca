//! Several services, one answer: a request that is answered from what several services say.
//!
//! ```text
//!   file ──compile──► Plan ── calls, and who waits for whom: seen from what they refer to
//!                      │
//!   request ──given──► Run ─┬─ order ──────────► price ─┐       each as soon as what it refers to is there
//!                           └─ stock ───────────────────┴─► Reply ──► one JSON document, one status
//! ```
//!
//! A call may refer to the request (`{id}`, `{query.x}`, `{consumer}`) and to what other calls gave (`{order.sku}`).
//! There is no list of steps to keep in order: the references are the order. A cycle, or a name that stands for
//! nothing, is refused when the plan is compiled.
//!
//! **What may be missing is said.** A call is required or optional. The first required call that fails decides the answer
//! and drops all others that are under way, which closes their connections. What an optional call stands for then is its
//! `on-error`; the client is told in `errors` what is missing, by the names of the file and without a word of what stands
//! behind. A call whose request refers to something that another call did not give is not made, and counts as failed.
//!
//! **It is bounded.** There are at most [`CALLS_MAX`] calls, one deadline over all of them, a bound on the bytes of each
//! answer and one on their sum, and one on the values of what is made of them.
//!
//! Compiling knows no socket, and filling in knows none either; `run` and `exchange` are all the I/O there is. Numbers pass
//! as the texts they are, from a service's answer to the client.

mod call;
mod dag;
mod exchange;
mod explain;
mod need;
mod options;
mod path;
mod plan;
mod read;
mod reply;
mod run;
mod scope;
mod shape;
mod status;
mod words;

pub use explain::Planned;
pub use options::Compose;
pub(crate) use plan::Plan;
pub(crate) use read::Keys;
pub(crate) use run::Composition;
pub(crate) use scope::Given;

/// Calls of one composition.
pub(crate) const CALLS_MAX: usize = 32;

/// What is wrong with what is written: where, and what.
type Wrong = (String, String);

#[cfg(test)]
mod tests;
