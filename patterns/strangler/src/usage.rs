//! Who still uses the old system, and how much traffic a feature has.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sketch::{Heavy, Sketch};
use crate::{Side, Stage};

/// Callers that are named.
const CALLERS_MAX: usize = 16;

/// What a gateway has served of a feature since it was declared.
#[derive(Debug)]
pub(crate) struct Usage {
    old: AtomicU64,
    new: AtomicU64,
    last_old: AtomicI64,
    last_new: AtomicI64,
    callers: Mutex<Sketch>,
}

/// The same as a value that is kept and added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    /// Requests that the old side served.
    pub old: u64,
    /// Requests that the new side served.
    pub new: u64,
    /// When the old side served last.
    pub last_old: Option<Timestamp>,
    /// When the new side served last.
    pub last_new: Option<Timestamp>,
    /// Who asked the old side although the move is complete, heaviest first.
    pub callers: Vec<Heavy>,
}

impl Used {
    /// Takes over what another gateway has served.
    pub(crate) fn add(&mut self, other: &Self) {
        self.old += other.old;
        self.new += other.new;
        self.last_old = self.last_old.max(other.last_old);
        self.last_new = self.last_new.max(other.last_new);
        let mut callers = Sketch::new(CALLERS_MAX);
        for heavy in self.callers.iter().chain(&other.callers) {
            callers.add(&heavy.name, heavy.count, heavy.over, heavy.last);
        }
        self.callers = callers.heaviest();
    }

    /// Who asked the old side last.
    pub fn last_caller(&self) -> Option<&Heavy> {
        self.callers.iter().max_by_key(|heavy| heavy.last)
    }

    /// All requests.
    pub fn volume(&self) -> u64 {
        self.old + self.new
    }
}

/// No moment yet.
const NEVER: i64 = i64::MIN;

impl Default for Usage {
    fn default() -> Self {
        Self {
            old: AtomicU64::new(0),
            new: AtomicU64::new(0),
            last_old: AtomicI64::new(NEVER),
            last_new: AtomicI64::new(NEVER),
            callers: Mutex::new(Sketch::new(CALLERS_MAX)),
        }
    }
}

impl Usage {
    /// Notes a request that was served.
    pub(crate) fn served(&self, side: Side, stage: Stage, caller: Option<&str>, now: Timestamp) {
        let (counter, last) = match side {
            Side::Old => (&self.old, &self.last_old),
            Side::New => (&self.new, &self.last_new),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        last.fetch_max(now.0, Ordering::Relaxed);
        // Callers matter once there should be none. A request never waits to be noted.
        if side == Side::Old
            && stage >= Stage::Complete
            && let Ok(mut callers) = self.callers.try_lock()
        {
            callers.add(caller.unwrap_or("unknown"), 1, 0, now);
        }
    }

    pub(crate) fn read(&self) -> Used {
        let moment =
            |last: &AtomicI64| Some(last.load(Ordering::Relaxed)).filter(|at| *at != NEVER).map(Timestamp);
        Used {
            old: self.old.load(Ordering::Relaxed),
            new: self.new.load(Ordering::Relaxed),
            last_old: moment(&self.last_old),
            last_new: moment(&self.last_new),
            callers: self.callers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).heaviest(),
        }
    }
}
