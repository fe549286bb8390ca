//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Endpoint, Ids, ManualClock, SystemClock, Timestamp};
use dozen_discovery::Registry;
use dozen_lifecycle::{Ready, Service, Stop};
use tokio::task::JoinSet;

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

/// A running service; dropping it ends it.
pub struct Part {
    stop: Stop,
    tasks: JoinSet<()>,
}

impl Part {
    pub fn start(service: Arc<dyn Service>) -> Self {
        let stop = Stop::new();
        let mut tasks = JoinSet::new();
        let (ready, _) = Ready::channel();
        let running = service.run(stop.clone(), ready);
        tasks.spawn(async move { running.await.expect("the service ends well") });
        Self { stop, tasks }
    }

    /// Stops it as a supervisor would, and waits.
    pub async fn stop(mut self) {
        self.stop.soft.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the service does not panic");
        }
    }
}
