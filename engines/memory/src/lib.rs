//! The reference engine: the promises of a store in the plainest code that keeps them.
//!
//! A transaction works on a copy of the whole state and puts it in place when it commits. That is slow for much data and
//! cannot be wrong about atomicity, which is what a reference is for: the conformance suite runs here first, and tests
//! of patterns that need no disk run on it. Nothing outlives the process.

mod answer;
mod memory;
mod reader;
mod standing;
mod state;
mod stream;

pub use memory::Memory;
