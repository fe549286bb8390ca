//! Results that are kept for a while, and one question at a time for each.
//!
//! Whoever asks what somebody is just asking waits for the same answer. The question goes on as long as one of them waits;
//! when the last one has gone away, it is dropped. Only results are kept, never problems.
//!
//! What is kept has two bounds, entries and bytes; the oldest goes first, and a result that is larger than the bytes allow for
//! is not kept at all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use dozen_mapping::{Object, Value, json};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::time::Instant;

use crate::options::CacheOptions;
use crate::problem::Problem;

/// Bytes of a question; a longer one is not kept.
const KEY_MAX: usize = 16 * 1024;

/// One question under way.
pub(crate) type Flight = Shared<BoxFuture<'static, Result<Value, Problem>>>;

pub(crate) struct Cache {
    options: CacheOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// The keys of `entries`, the oldest first.
    order: VecDeque<Arc<str>>,
    /// Bytes of keys and results, as they would be written.
    bytes: usize,
    /// Questions that have begun.
    begun: u64,
}

enum Entry {
    Kept {
        value: Value,
        until: Instant,
        bytes: usize,
    },
    /// With its number: one that was forgotten may end after the next one for its key has begun.
    Flying {
        number: u64,
        flight: WeakShared<BoxFuture<'static, Result<Value, Problem>>>,
    },
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Kept { bytes, .. } => *bytes,
            Self::Flying { .. } => 0,
        }
    }

    fn is_flight(&self, wanted: u64) -> bool {
        matches!(self, Self::Flying { number, .. } if *number == wanted)
    }
}

/// What is there for a question.
pub(crate) enum Found {
    Kept(Value),
    Flying(Flight),
}

impl Cache {
    pub(crate) fn new(options: CacheOptions) -> Arc<Self> {
        Arc::new(Self { options, state: Mutex::default() })
    }

    /// What is kept or asked already for `key`; if nothing, `start` is asked.
    pub(crate) fn find(
        self: &Arc<Self>,
        key: Arc<str>,
        start: impl FnOnce() -> BoxFuture<'static, Result<Value, Problem>>,
    ) -> Found {
        self.with(|state| {
            match state.entries.get(&key) {
                Some(Entry::Kept { value, until, .. }) if Instant::now() < *until => {
                    return Found::Kept(value.clone());
                }
                Some(Entry::Flying { flight, .. }) => {
                    if let Some(flight) = flight.upgrade() {
                        return Found::Flying(flight);
                    }
                }
                _ => {}
            }
            let (cache, asked) = (Arc::downgrade(self), start());
            state.begun += 1;
            let (of, number) = (key.clone(), state.begun);
            let flight = async move {
                let result = asked.await;
                if let Some(cache) = cache.upgrade() {
                    cache.land(of, number, &result);
                }
                result
            }
            .boxed()
            .shared();
            if let Some(weak) = flight.downgrade() {
                state.put(key, Entry::Flying { number, flight: weak }, &self.options);
            }
            Found::Flying(flight)
        })
    }

    fn land(&self, key: Arc<str>, number: u64, result: &Result<Value, Problem>) {
        // Outside of the lock: a result may be large.
        let bytes = result.as_ref().map_or(0, |value| json::write(value).len() + key.len());
        self.with(|state| {
            let is_own = state.entries.get(&key).is_some_and(|entry| entry.is_flight(number));
            match result {
                Ok(value) if bytes <= self.options.bytes_max.get() => {
                    let until = Instant::now() + self.options.ttl;
                    state.put(key, Entry::Kept { value: value.clone(), until, bytes }, &self.options);
                }
                _ if is_own => state.forget(&key),
                _ => {}
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn put(&mut self, key: Arc<str>, entry: Entry, options: &CacheOptions) {
        self.bytes += entry.bytes();
        match self.entries.insert(key.clone(), entry) {
            Some(old) => self.bytes -= old.bytes(),
            None => self.order.push_back(key),
        }
        while (self.entries.len() > options.entries_max.get() || self.bytes > options.bytes_max.get())
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.entries.remove(&oldest).map_or(0, |entry| entry.bytes());
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes();
            self.order.retain(|other| **other != *key);
        }
    }
}

/// The question as a text that is the same for equal inputs, if it is short enough.
pub(crate) fn key(input: &Value) -> Option<Arc<str>> {
    let text = json::write(&sorted(input));
    (text.len() <= KEY_MAX).then(|| text.into())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by(|one, other| one.0.cmp(other.0));
            let mut ordered = Object::with_capacity(members.len());
            for (name, member) in members {
                ordered.insert(name.clone(), sorted(member));
            }
            Value::Object(ordered)
        }
        Value::List(list) => Value::List(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
