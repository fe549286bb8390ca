//! Time-outs by the thousand, for the price of one timer.
//!
//! A timer of the runtime for each request would be set and cancelled a hundred thousand times a second and fire
//! never. Here each connection owns one [`Alarm`], a number; setting it is one store. A worker's ticker looks at all
//! alarms every 50 ms and wakes the connections whose moment has come, so that a time-out is late by at most one tick
//! and never early. While there are no connections the ticker sleeps.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use tokio::sync::Notify;

use crate::proxy::Cutoff;

const TICK: Duration = Duration::from_millis(50);

pub(crate) struct Ticker {
    start: Instant,
    now: AtomicU64,
    alarms: Mutex<Alarms>,
    first: Notify,
}

#[derive(Default)]
struct Alarms {
    slots: Vec<Option<Arc<Setting>>>,
    free: Vec<usize>,
}

struct Setting {
    at: AtomicU64,
    /// No alarm is later than this: the end of the whole request.
    last: AtomicU64,
    waker: AtomicWaker,
    /// What is looked at besides, while an answer is on its way; the flag spares all others the lock.
    has_cutoff: AtomicBool,
    cutoff: Mutex<Option<Arc<Cutoff>>>,
}

/// One connection's time-out.
pub(crate) struct Alarm {
    ticker: Arc<Ticker>,
    setting: Arc<Setting>,
    slot: usize,
}

impl Ticker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            now: AtomicU64::new(0),
            alarms: Mutex::default(),
            first: Notify::new(),
        })
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn update(&self) -> u64 {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now, Ordering::Relaxed);
        now
    }

    /// Milliseconds since the start, as of the last tick.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn alarm(self: &Arc<Self>) -> Alarm {
        let setting = Arc::new(Setting {
            at: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(u64::MAX),
            waker: AtomicWaker::new(),
            has_cutoff: AtomicBool::new(false),
            cutoff: Mutex::new(None),
        });
        let mut alarms = self.alarms();
        let slot = match alarms.free.pop() {
            Some(slot) => slot,
            None => {
                alarms.slots.push(None);
                alarms.slots.len() - 1
            }
        };
        alarms.slots[slot] = Some(setting.clone());
        // The ticker slept while there was no alarm, so its time stood still.
        if alarms.slots.len() - alarms.free.len() == 1 {
            self.update();
            self.first.notify_one();
        }
        drop(alarms);
        Alarm { ticker: self.clone(), setting, slot }
    }

    /// Wakes every connection, so that it looks around.
    pub(crate) fn wake_all(&self) {
        for setting in self.alarms().slots.iter().flatten() {
            setting.waker.wake();
        }
    }

    /// Ticks for ever; `upkeep` is called with the time at each tick.
    pub(crate) async fn run(self: Arc<Self>, upkeep: impl Fn(u64)) {
        loop {
            tokio::time::sleep(TICK).await;
            let now = self.update();
            upkeep(now);
            let is_empty = {
                let alarms = self.alarms();
                for setting in alarms.slots.iter().flatten() {
                    if setting.moment() <= now || setting.is_cut() {
                        setting.waker.wake();
                    }
                }
                alarms.slots.len() == alarms.free.len()
            };
            if is_empty {
                self.first.notified().await;
            }
        }
    }
}

impl Setting {
    fn moment(&self) -> u64 {
        self.at.load(Ordering::Relaxed).min(self.last.load(Ordering::Relaxed))
    }

    fn is_cut(&self) -> bool {
        self.has_cutoff.load(Ordering::Relaxed)
            && self.cutoff().as_ref().is_some_and(|cutoff| cutoff.is_due())
    }

    fn cutoff(&self) -> MutexGuard<'_, Option<Arc<Cutoff>>> {
        self.cutoff.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Alarm {
    fn moment_after(&self, wait: Duration) -> u64 {
        let wait = u64::try_from(wait.saturating_add(TICK).as_millis()).unwrap_or(u64::MAX);
        self.ticker.now().saturating_add(wait)
    }

    /// The moment of the last tick, to tell later how long something took.
    pub(crate) fn mark(&self) -> u64 {
        self.ticker.now()
    }

    /// How long it is since a [`Self::mark`], to a tick.
    pub(crate) fn since(&self, mark: u64) -> Duration {
        Duration::from_millis(self.ticker.now().saturating_sub(mark))
    }

    /// Goes off after `wait`, unless it is set again before.
    pub(crate) fn set(&self, wait: Duration) {
        self.setting.at.store(self.moment_after(wait), Ordering::Relaxed);
    }

    /// Does not go off by itself, but for the end set by [`Self::set_last`].
    pub(crate) fn clear(&self) {
        self.setting.at.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whatever is set, goes off after `wait`; `None` takes that back.
    pub(crate) fn set_last(&self, wait: Option<Duration>) {
        let last = wait.map_or(u64::MAX, |wait| self.moment_after(wait));
        self.setting.last.store(last, Ordering::Relaxed);
    }

    /// The time until the end set by [`Self::set_last`], if there is one.
    pub(crate) fn left(&self) -> Option<Duration> {
        match self.setting.last.load(Ordering::Relaxed) {
            u64::MAX => None,
            last => Some(Duration::from_millis(last.saturating_sub(self.ticker.now()))),
        }
    }

    /// Goes off as well when `cutoff` is due; `None` takes that back.
    pub(crate) fn set_cutoff(&self, cutoff: Option<Arc<Cutoff>>) {
        if cutoff.is_some() || self.setting.has_cutoff.load(Ordering::Relaxed) {
            self.setting.has_cutoff.store(cutoff.is_some(), Ordering::Relaxed);
            *self.setting.cutoff() = cutoff;
        }
    }

    /// Whether it is a cutoff that it went off for.
    pub(crate) fn is_cut(&self) -> bool {
        self.setting.is_cut()
    }

    /// Ready once it has gone off. Also registers for [`Ticker::wake_all`].
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.setting.waker.register(cx.waker());
        let is_due = self.ticker.now() >= self.setting.moment() || self.setting.is_cut();
        if is_due { Poll::Ready(()) } else { Poll::Pending }
    }

    /// `work`, or `None` if the alarm goes off first.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut alarms = self.ticker.alarms();
        alarms.slots[self.slot] = None;
        alarms.free.push(self.slot);
    }
}
