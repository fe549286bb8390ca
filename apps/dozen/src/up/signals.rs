//! Counts the signals that ask the process to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// SIGINT and SIGTERM so far. Dropping it stops counting.
pub(crate) struct Signals {
    count: watch::Receiver<u32>,
    _counter: JoinSet<()>,
}

impl Signals {
    pub(crate) fn watch() -> io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, count) = watch::channel(0);
        let mut counter = JoinSet::new();
        counter.spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    else => return,
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, _counter: counter })
    }

    pub(crate) fn count(&self) -> u32 {
        *self.count.borrow()
    }

    /// Returns once there were at least this many.
    pub(crate) async fn received(&self, at_least: u32) {
        if self.count.clone().wait_for(|count| *count >= at_least).await.is_err() {
            std::future::pending().await // the counter is gone: no signal will come any more
        }
    }
}
