//! The HTTP engine.

mod body;
mod buffer;
mod client;
mod error;
pub mod framing;
mod listen;
mod problem;
mod server;

pub use body::Body;
pub use client::Client;
pub use dozen_lifecycle::BoxError;
pub use error::Error;
pub use problem::{problem, problem_document};
pub use server::{Limits, Peer, Server};
