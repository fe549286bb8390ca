//! Starts real servers and programs for tests, and leaves nothing of them behind.
//!
//! ```text
//! ensure_debian(["redis-server"])      a package, installed once however many tests ask for it; python_packages, node_packages
//!        │
//! Program::start("redis", command)     its own process group; output kept in a bounded ring
//!        │  wait_for_line · hear · wait_until_listening · signal · kill9 · wait_exit
//!        ▼
//! drop                                 the whole group is killed and the child is reaped
//! ```
//!
//! Everything here has a time-out: a test that hangs says nothing. Every failure is one sentence (a `String`) for the person who
//! reads the test's output; nobody branches on it. What is asynchronous is for tests that run the product in their own process:
//! a [`Part`] of it, and [`ask`]; all else blocks a thread.

mod debian;
mod http;
mod load;
mod net;
mod output;
mod part;
mod pebble;
mod pgbouncer;
mod postgres;
mod program;
mod registries;
mod run;
mod unprivileged;

pub use debian::ensure_debian;
pub use http::{Reply, ask, get, post, request};
pub use load::{Asked, Load, Served};
pub use net::{free_port, ports, wait_until_listening};
pub use part::Part;
pub use pebble::Pebble;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use program::Program;
pub use registries::{node_packages, python_packages};
pub use rustix::process::Signal;
