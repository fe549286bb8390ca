//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Endpoint, Ids, ManualClock, SystemClock, Timestamp};
use dozen_discovery::Registry;

/// A registry on a clock that the test can set.
pub fn registry() -> (Arc<Registry>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
    (Arc::new(Registry::new(clock.clone())), clock)
}

pub fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), 1)
}

pub fn at(id: &str, address: &str) -> Endpoint {
    Endpoint { id: id.into(), ..Endpoint::at(address) }
}

/// Lets timers up to `duration` from now run, on a paused clock.
pub async fn settled(duration: Duration) {
    tokio::time::sleep(duration).await;
}
