//! Who may pass, and how often: over real sockets and a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod asking;
mod counted;
#[path = "../world/mod.rs"]
mod edge;
mod entrance;
mod issuer;
mod keys;
mod sharing;
mod wired;
mod world;
