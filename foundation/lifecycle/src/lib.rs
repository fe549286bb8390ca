//! Every task has an owner; stopping is: take no more, finish, then cut at the deadline and say what was cut.
//!
//! ```text
//!            stop.soft                      deadline: stop.hard            grace: dropped
//! running ───────────────► draining ──────────────────────► cutting ───────────────────────► gone
//!           take no new work          end what is in flight            the report names it
//! ```
//!
//! A part of the process is a [`Service`]: it announces that it is ready, runs until it is told to stop, and returns.
//! A [`Supervisor`] starts services, waits until all are ready, stops them in the reverse order of their start, and
//! reports those that did not end by themselves. A service that ends while nobody asked it to is a failure, and stops
//! the rest: half a process is worse than none.

mod stop;
mod supervisor;
mod wait;

pub use stop::Stop;
pub use supervisor::{BoxError, Ready, Report, Service, Supervisor};
pub use wait::or_never;
