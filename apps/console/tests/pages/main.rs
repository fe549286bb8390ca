//! The pages, their twins, their guards and the events, without a browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod act;
mod follow;
mod read;
mod world;
