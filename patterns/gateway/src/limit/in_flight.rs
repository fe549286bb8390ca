//! How much goes on at once, and who goes first when it is too much.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dozen_core::Mutex;
use serde::{Deserialize, Serialize};

use super::key::Keying;
use super::{InFlightOptions, KeyOf, ShedOptions};
use crate::auth::{Identity, View};

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub struct Permit(Place);

#[derive(Debug)]
enum Place {
    Of(Arc<InFlight>, u64),
    In(Arc<Shedder>),
}

impl Drop for Permit {
    fn drop(&mut self) {
        match &self.0 {
            Place::Of(limit, key) => limit.leave(*key),
            Place::In(shedder) => {
                shedder.inside.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Requests at one time, for each key. Keys are remembered only while something of theirs is going on.
#[derive(Debug)]
pub struct InFlight {
    max: u32,
    keying: Keying,
    inside: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
}

impl InFlight {
    pub(crate) fn compile(options: &InFlightOptions) -> Result<Self, String> {
        let keying = Keying::compile(&options.per)?;
        let hasher = RandomState::new();
        Ok(Self { max: options.max.get(), keying, inside: Mutex::default(), hasher })
    }

    /// A place for this request, if there is one.
    pub fn enter(self: &Arc<Self>, view: &View<'_>, identity: &Identity) -> Option<Permit> {
        let key: KeyOf<'_> = self.keying.of(view, identity);
        let key = self.hasher.hash_one(&key);
        let mut inside = self.inside.lock();
        let count = inside.entry(key).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Permit(Place::Of(self.clone(), key)))
    }

    fn leave(&self, key: u64) {
        let mut inside = self.inside.lock();
        if let Some(count) = inside.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&key);
            }
        }
    }
}

/// What matters more when there is too much of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Passes while less than half of the places are taken.
    Low,
    /// Passes while less than nine tenths are.
    #[default]
    Normal,
    /// Passes while there is any.
    High,
}

impl Priority {
    /// The same in the words of a service whose limit finds itself.
    pub(crate) fn of_service(self) -> dozen_dataplane::resilience::Priority {
        use dozen_dataplane::resilience::Priority as Of;
        match self {
            Self::Low => Of::Low,
            Self::Normal => Of::Normal,
            Self::High => Of::Critical,
        }
    }

    /// How many places of `max` it may find taken; the first is for everybody.
    fn up_to(self, max: NonZeroU32) -> u32 {
        let max = max.get();
        match self {
            Self::Low => max / 2,
            Self::Normal => max - max / 10,
            Self::High => max,
        }
        .max(1)
    }
}

/// Bounds what goes on in the whole gateway at once, and keeps the last places for what matters most.
#[derive(Debug)]
pub struct Shedder {
    max: NonZeroU32,
    inside: AtomicU32,
}

impl Shedder {
    /// So many places.
    pub fn new(options: &ShedOptions) -> Arc<Self> {
        Arc::new(Self { max: options.in_flight, inside: AtomicU32::new(0) })
    }

    /// A place, if there is one for this priority.
    pub fn enter(self: &Arc<Self>, priority: Priority) -> Option<Permit> {
        let up_to = priority.up_to(self.max);
        let one_more = |inside: u32| (inside < up_to).then_some(inside + 1);
        let entered = self.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Permit(Place::In(self.clone())))
    }
}
