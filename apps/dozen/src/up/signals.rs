//! Counts the signals that ask the process to stop, and hears those that ask for a reload or for a successor.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// SIGINT and SIGTERM so far. Dropping it stops counting.
pub(crate) struct Signals {
    count: watch::Receiver<u32>,
    hangup: Arc<Notify>,
    succession: Arc<Notify>,
    _counter: JoinSet<()>,
}

impl Signals {
    pub(crate) fn watch() -> io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hang = signal(SignalKind::hangup())?;
        let mut second = signal(SignalKind::user_defined2())?;
        let (hangup, has_terminal) = (Arc::new(Notify::new()), io::stdin().is_terminal());
        let heard = hangup.clone();
        let succession = Arc::new(Notify::new());
        let asked = succession.clone();
        let (sender, count) = watch::channel(0);
        let mut counter = JoinSet::new();
        counter.spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    Some(()) = second.recv() => {
                        asked.notify_one();
                        continue;
                    }
                    // The kernel sends the same signal when the terminal is closed, and nobody is left to stop us.
                    Some(()) = hang.recv() => match has_terminal && !io::stdin().is_terminal() {
                        true => {}
                        false => {
                            heard.notify_one();
                            continue;
                        }
                    },
                    else => return,
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, hangup, succession, _counter: counter })
    }

    /// Notified by each SIGHUP that asks for a reload.
    pub(crate) fn hangup(&self) -> Arc<Notify> {
        self.hangup.clone()
    }

    /// Returns once a SIGUSR2 has asked for another process to take over.
    pub(crate) async fn succession(&self) {
        self.succession.notified().await;
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
