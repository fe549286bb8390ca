//! What must survive being killed, and what must be said when something is wrong from the start.
//!
//! ```text
//! Place: a folder with a dozen.yaml ──up()──► dozen up ──► its services, its guard
//!   │                                            all of them carry the folder's name in their environment,
//!   └── processes(): who of them still lives      so that a test can tell that nobody survived
//! ```
//!
//! The tests here run the real binaries that a user runs, built by `cargo xtask test`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod origin;
mod place;
mod wire;

pub use dozen_harness::ports;
pub use origin::origin;
pub use place::{Living, Place, Up, program, seeded};
pub use wire::Wire;

use std::time::Duration;

/// What is awaited comes within this, or the test has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that gives no signal.
pub const LOOK: Duration = Duration::from_millis(10);
