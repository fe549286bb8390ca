//! One binary: gateway, registry, sidecars, broker and console.
//!
//! ```text
//!  cli ──► config ──► App ──► up: supervisor ─┬─ the patterns' services, wired here and nowhere else
//!   │                                         └─ children: the programs that the file names
//!   └───► queue, topic, outbox, service: look at it, and act on it
//! ```
//!
//! This crate is the only one that reads files and the environment, installs a log subscriber, handles signals and
//! chooses the exit code.

pub mod cli;
pub mod config;
mod error;
pub mod up;

pub use error::Error;
