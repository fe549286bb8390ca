//! What keeps one slow or broken service from taking its callers with it.
//!
//! ```text
//!               ┌ too much of it at once?    in flight, Limiter ─► refused, low priorities first
//!  a request ───┤ mostly failing?            Breaker            ─► refused until it has been tried again
//!               └ failed, or late?           RetryPolicy, HedgePolicy ─► once more, if the Budget pays for it
//! ```
//!
//! Each part is a decision that knows neither sockets nor endpoints, and state that belongs to a service, kept in
//! atomics: no lock, no allocation, a fixed size. Time and randomness are handed in. `upstream` puts the parts together.
//!
//! Three of them count over the last seconds, and do so with one thing, the [`window::Window`]: requests and failures
//! for the breaker and for the ejection of an endpoint, requests and retries for the budget.

mod breaker;
mod budget;
mod cause;
pub mod deadline;
mod ewma;
mod hedge;
mod latencies;
mod limiter;
mod priority;
mod retry;
mod window;

pub(crate) use breaker::{Breaker, Trial};
pub use breaker::{BreakerPolicy, Circuit};
pub(crate) use budget::Budget;
pub use budget::BudgetPolicy;
pub use cause::Cause;
pub(crate) use ewma::Ewma;
pub use hedge::{HedgeAfter, HedgePolicy};
pub(crate) use latencies::Latencies;
pub use limiter::LimitPolicy;
pub(crate) use limiter::Limiter;
pub use priority::Priority;
pub use retry::{ATTEMPT_HEADER, Attempt, Decision, GiveUp, RetryPolicy, is_retried_elsewhere};
pub(crate) use window::Window;
