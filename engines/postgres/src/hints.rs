//! The counters that readers wait on. Hints only: whoever misses one still finds everything by asking.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::Mutex;
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Hints {
    names: Mutex<HashMap<Arc<str>, watch::Sender<u64>>>,
}

impl Hints {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Arc<str>, watch::Sender<u64>>) -> T) -> T {
        // A panic while it is held can only come from an allocation; the map is whole nevertheless.
        work(&mut self.names.lock())
    }

    /// A counter for `name`.
    pub(crate) fn watch(&self, name: &str) -> watch::Receiver<u64> {
        self.with(|names| {
            // Those that nobody waits on any more go, so that the map is bounded by who is waiting.
            if names.len() >= 64 && names.len().is_power_of_two() {
                names.retain(|_, sender| sender.receiver_count() > 0);
            }
            names.entry(name.into()).or_insert_with(|| watch::channel(0).0).subscribe()
        })
    }

    /// These have something new.
    pub(crate) fn touch<'a>(&self, touched: impl Iterator<Item = &'a str>) {
        self.with(|names| {
            for name in touched {
                if let Some(sender) = names.get(name) {
                    sender.send_modify(|count| *count += 1);
                }
            }
        });
    }

    /// Any of them may have something new.
    pub(crate) fn touch_all(&self) {
        self.with(|names| names.values().for_each(|sender| sender.send_modify(|count| *count += 1)));
    }
}
