//! A part of the process, for as long as a test wants it.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::chain;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longer than any part takes to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service under way. Dropped, it is cut where it stands.
pub struct Part {
    stop: Stop,
    ready: watch::Receiver<bool>,
    task: JoinSet<Result<(), BoxError>>,
}

impl Part {
    /// Starts it. Must be called inside a runtime.
    pub fn start(service: Arc<dyn Service>) -> Self {
        let stop = Stop::new();
        let (say, ready) = Ready::channel();
        let mut task = JoinSet::new();
        task.spawn(service.run(stop.clone(), say));
        Self { stop, ready, task }
    }

    /// Returns when it can do its work.
    pub async fn ready(&mut self) -> Result<(), String> {
        let ready = self.ready.wait_for(|ready| *ready).await;
        ready.map(drop).map_err(|_| "the part ended before it was ready".to_owned())
    }

    /// Stops it as a supervisor would, and waits for its end.
    pub async fn stop(mut self) -> Result<(), String> {
        self.stop.soft.cancel();
        match tokio::time::timeout(PATIENCE, self.task.join_next()).await {
            Ok(Some(Ok(ended))) => ended.map_err(|error| format!("the part failed: {}", chain(&*error))),
            Ok(Some(Err(error))) => Err(format!("the part panicked: {error}")),
            Ok(None) => Ok(()),
            Err(_) => Err(format!("the part did not end within {PATIENCE:?}")),
        }
    }
}
