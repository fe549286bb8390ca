//! Hints: who appended to what, here or in another process.
//!
//! In this process the writer says which streams it touched. Another process's commits show in the write-ahead log,
//! which Linux can watch without cost while nothing happens: the watcher sleeps until the file changes, then looks at
//! the head row every few milliseconds until it is quiet again (a commit becomes visible a little after its bytes are
//! written). Once a second it looks anyway. Where the kernel offers no such watch it looks each 4 ms. When others have
//! committed, streams that somebody waits on are compared one by one, so that a stranger's order wakes nobody who waits
//! for invoices.
//!
//! Hints only: whoever misses one still finds everything by asking.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dozen_store::LOOK_MAX;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

/// How long the watcher goes on looking after the last change of the log.
const LINGER: Duration = Duration::from_millis(100);
/// Between two looks while something is going on: the first, and the longest. It grows while all that goes on is ours.
const STEP: Duration = Duration::from_millis(1);
const STEP_MAX: Duration = Duration::from_millis(4);
/// Between two looks while nothing is.
const NET: Duration = Duration::from_secs(1);
const _: () =
    assert!(NET.as_millis() < LOOK_MAX.as_millis(), "a hint may be missing for so long and no longer");

/// Streams that are compared one by one; beyond, all are hinted at, which costs less.
const COMPARED_MAX: usize = 64;

/// What somebody waits on: a stream, or what [`dozen_store::hint_of`] and [`dozen_store::end_of`] name.
struct Counter {
    sender: watch::Sender<u64>,
    /// Where the stream ended when the watcher looked last.
    position: Option<i64>,
}

impl Counter {
    fn touch(&self) {
        self.sender.send_modify(|count| *count += 1);
    }
}

/// The counters that readers wait on.
#[derive(Default)]
pub(crate) struct Hints {
    streams: Mutex<HashMap<Arc<str>, Counter>>,
    /// Groups that this process has committed.
    pub(crate) own_commits: AtomicI64,
    pub(crate) closed: AtomicBool,
}

impl Hints {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Arc<str>, Counter>) -> T) -> T {
        // A panic while it is held can only come from an allocation; the map is whole nevertheless.
        work(&mut self.streams.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A counter for `stream`.
    pub(crate) fn watch(&self, stream: &str) -> watch::Receiver<u64> {
        self.with(|streams| {
            // Those that nobody waits on any more go, so that the map is bounded by who is waiting.
            if streams.len() >= 64 && streams.len().is_power_of_two() {
                streams.retain(|_, counter| counter.sender.receiver_count() > 0);
            }
            let new = || Counter { sender: watch::channel(0).0, position: None };
            streams.entry(stream.into()).or_insert_with(new).sender.subscribe()
        })
    }

    /// `touched` streams have something new.
    pub(crate) fn touch<'a>(&self, touched: impl Iterator<Item = &'a Arc<str>>) {
        self.with(|streams| {
            for stream in touched {
                if let Some(counter) = streams.get(stream) {
                    counter.touch();
                }
            }
        });
    }

    /// Others have committed: whatever moved has something new, and so may whatever is no stream.
    fn touch_moved(&self, connection: &Connection) {
        let mut compared: Vec<(Arc<str>, Option<i64>)> = Vec::new();
        self.with(|streams| {
            let names = streams.keys().filter(|name| !name.contains('\n'));
            compared.extend(names.take(COMPARED_MAX + 1).map(|name| (name.clone(), None)));
        });
        if compared.len() > COMPARED_MAX {
            return self.with(|streams| streams.values().for_each(Counter::touch));
        }
        // Without the lock: the writer must not wait for a reader.
        for (name, position) in &mut compared {
            let read = connection
                .prepare_cached("select position from dozen_stream where name = ?1")
                .and_then(|mut statement| statement.query_row([&**name], |row| row.get(0)).optional());
            // Nowhere is a place, too; and one that cannot be read may have moved.
            *position = read.map(|position| position.unwrap_or(0)).ok();
        }
        self.with(|streams| {
            for (name, position) in compared {
                let Some(counter) = streams.get_mut(&name) else { continue };
                if position.is_none() || position != counter.position {
                    counter.touch();
                }
                counter.position = position;
            }
            streams.iter().filter(|(name, _)| name.contains('\n')).for_each(|(_, counter)| counter.touch());
        });
    }
}

/// Looks for other processes' commits in the write-ahead log until the hints are closed.
pub(crate) fn run(log: &Path, connection: &Connection, hints: &Hints) {
    // How many commits of others were seen, counted from an unknown beginning. What is read here is never more than the
    // truth: the head row is read first, and our own commits are counted before they show in it. So whenever somebody
    // else has committed, a look at a quiet moment reads more than any look before; one that falls into a commit of ours
    // reads less, and means nothing. (Read the other way round, one of our own could stand in for one of theirs, and a
    // hint be lost.)
    let mut others = None;
    let mut bell = Bell::new(log);
    let mut quiet_from = Instant::now();
    let mut step = STEP;
    while !hints.closed.load(Ordering::Relaxed) {
        let head = connection
            .prepare_cached("select appended from dozen_stream where stream = 0")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)));
        if let Ok(commits) = head {
            let now = commits - hints.own_commits.load(Ordering::SeqCst);
            let theirs = others.is_none_or(|before| now > before);
            if theirs {
                others = Some(now);
                hints.touch_moved(connection);
            }
            step = if theirs { STEP } else { (2 * step).min(STEP_MAX) };
        }
        let active = Instant::now() < quiet_from;
        if !active {
            step = STEP;
        }
        if bell.wait(if active { step } else { NET }) {
            quiet_from = Instant::now() + LINGER;
            if active {
                std::thread::sleep(step);
            }
        }
    }
}

/// Rings when the write-ahead log changes.
struct Bell {
    #[cfg(target_os = "linux")]
    watch: Option<rustix::fd::OwnedFd>,
}

impl Bell {
    #[cfg(target_os = "linux")]
    fn new(log: &Path) -> Self {
        use rustix::fs::inotify;
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok();
        let watch = watch.filter(|watch| inotify::add_watch(watch, log, inotify::WatchFlags::MODIFY).is_ok());
        Self { watch }
    }

    #[cfg(not(target_os = "linux"))]
    fn new(_: &Path) -> Self {
        Self {}
    }

    /// Waits for a change, `at_most` this long; says whether there was one.
    #[cfg(target_os = "linux")]
    fn wait(&mut self, at_most: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(watch) = &self.watch else {
            std::thread::sleep(at_most.min(Duration::from_millis(4)));
            return false;
        };
        let timeout =
            Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        let mut fds = [PollFd::new(watch, PollFlags::IN)];
        let rang = matches!(poll(&mut fds, Some(&timeout)), Ok(1..));
        if rang {
            let mut events = [0u8; 4096];
            while matches!(rustix::io::read(watch, &mut events), Ok(1..)) {}
        }
        rang
    }

    #[cfg(not(target_os = "linux"))]
    fn wait(&mut self, at_most: Duration) -> bool {
        std::thread::sleep(at_most.min(Duration::from_millis(4)));
        false
    }
}
