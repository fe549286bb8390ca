//! The tasks of connections of HTTP/2, owned by whoever owns the connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use hyper::rt::Executor;
use tokio::task::{AbortHandle, Id, JoinSet};

tokio::task_local! {
    /// Of the stream that this task serves: see [`Progress`].
    static PROGRESS: Progress;
}

/// When a stream's client has had all its time to take what there is for it, by the worker's clock; 0 while nothing waits.
pub(super) type Progress = Arc<AtomicU64>;

/// That of the task that asks; a new one outside of any.
pub(super) fn progress() -> Progress {
    PROGRESS.try_with(Clone::clone).unwrap_or_default()
}

/// Tasks that end with this set.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    running: JoinSet<()>,
    streams: HashMap<Id, (AbortHandle, Progress)>,
    begun: u64,
}

impl Tasks {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.inner().reaped().running.len()
    }

    /// How many have been started, ever.
    pub(super) fn begun(&self) -> u64 {
        self.inner().begun
    }

    /// Ends the streams whose client has not taken in time what there is for it.
    pub(super) fn cut_stalled(&self, now: u64) {
        let mut inner = self.inner();
        inner.reaped();
        for (handle, progress) in inner.streams.values() {
            let until = progress.load(Ordering::Relaxed);
            if until != 0 && until < now {
                handle.abort();
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let progress = Progress::default();
        let task = PROGRESS.scope(progress.clone(), task);
        let mut inner = self.inner();
        let handle = inner.reaped().running.spawn(task);
        inner.begun += 1;
        inner.streams.insert(handle.id(), (handle, progress));
    }
}

impl Inner {
    /// Without those that have ended.
    fn reaped(&mut self) -> &mut Self {
        while let Some(ended) = self.running.try_join_next_with_id() {
            let id = match ended {
                Ok((id, ())) => id,
                Err(error) => {
                    if error.is_panic() {
                        tracing::error!("serving a stream panicked; the stream is reset");
                    }
                    error.id()
                }
            };
            self.streams.remove(&id);
        }
        self
    }
}

/// Starts tasks for as long as their set lives. It does not keep the set: a task may hold one of these.
#[derive(Clone)]
pub(crate) struct Spawner(Weak<Tasks>);

impl Spawner {
    pub(crate) fn new(tasks: &Arc<Tasks>) -> Self {
        Self(Arc::downgrade(tasks))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        if let Some(tasks) = self.0.upgrade() {
            tasks.spawn(task);
        }
    }
}
