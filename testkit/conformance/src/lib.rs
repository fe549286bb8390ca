//! One conformance suite for each port.
//!
//! A promise of a port is a test of the same name here, and every engine runs all of them: an engine's
//! `tests/conformance.rs` says how to make a fresh store and names the suite. A case that needs an ability which the
//! engine does not have returns early and prints why.

pub mod store;
