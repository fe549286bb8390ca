//! The topics that a program has met, with their doors.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::Mutex;
use dozen_messaging::Admission;
use dozen_store::Changes;

/// Doors by topic, as current as the last declaration that was hinted at.
pub(crate) struct Known {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Moves when a topic is declared or deleted. Also when another process commits anything, so it only means: look.
    declared: Changes,
    /// How often it was seen to move.
    generation: u64,
    doors: HashMap<String, Door>,
}

/// Since which declaration something is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Inner {
    /// An engine that is gone gives no hints, and will say so when it is asked for more.
    fn generation(&mut self) -> Generation {
        if self.declared.has_changed().unwrap_or(false) {
            self.declared.mark_unchanged();
            self.generation += 1;
            self.doors.values_mut().for_each(|door| door.is_current = false);
        }
        Generation(self.generation)
    }
}

struct Door {
    /// Of the row that it was made from; `None` for settings that nobody declared.
    version: Option<u64>,
    admission: Arc<Admission>,
    is_current: bool,
}

impl Known {
    pub(crate) fn new(declared: Changes) -> Self {
        Self { inner: Mutex::new(Inner { declared, generation: 0, doors: HashMap::new() }) }
    }

    /// The door of `topic`, if it is known to be current; otherwise what to hand to [`Known::same`] and [`Known::keep`]
    /// with what is read from now on.
    pub(crate) fn current(&self, topic: &str) -> Result<Arc<Admission>, Generation> {
        self.with(|inner| {
            let generation = inner.generation();
            let door = inner.doors.get(topic).filter(|door| door.is_current);
            door.map(|door| door.admission.clone()).ok_or(generation)
        })
    }

    /// The door of `topic`, if it was made from this version of the row.
    pub(crate) fn same(&self, topic: &str, version: Option<u64>, read: Generation) -> Option<Arc<Admission>> {
        self.with(|inner| {
            let is_current = inner.generation() == read;
            let door = inner.doors.get_mut(topic).filter(|door| door.version == version)?;
            door.is_current = is_current;
            Some(door.admission.clone())
        })
    }

    /// Keeps a door. Only those of topics that exist are kept, so that there are no more of them.
    pub(crate) fn keep(
        &self,
        topic: &str,
        version: Option<u64>,
        admission: &Arc<Admission>,
        read: Generation,
    ) {
        self.with(|inner| {
            let is_current = inner.generation() == read;
            let door = Door { version, admission: admission.clone(), is_current };
            inner.doors.insert(topic.to_owned(), door);
        });
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.with(|inner| inner.doors.remove(topic));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock())
    }
}
