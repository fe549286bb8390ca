//! The doors of the topics that have been published on, as they were declared last.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_core::Mutex;
use dozen_messaging::Admission;
use dozen_store::{Changes, Store};

use crate::relay::DECLARED;

/// Doors by topic. Only declared topics come in, so that it is as bounded as the declarations.
pub(crate) struct Doors(Mutex<Inner>);

struct Inner {
    /// Moves when a topic is declared or deleted, and now and then without that.
    declared: Changes,
    /// How often it was seen to move.
    generation: u64,
    doors: HashMap<String, Door>,
}

struct Door {
    /// Of the row that it was made from.
    version: u64,
    admission: Arc<Admission>,
    /// When it was current last.
    generation: u64,
}

impl Doors {
    pub(crate) fn of(store: &Store) -> Self {
        let declared = store.journal().changes(DECLARED);
        Self(Mutex::new(Inner { declared, generation: 0, doors: HashMap::new() }))
    }

    /// The door of `topic`, if nothing was declared since it was looked up. Otherwise the generation that whatever is read
    /// from now on belongs to.
    pub(crate) fn current(&self, topic: &str) -> Result<Arc<Admission>, u64> {
        self.with(|inner| {
            if inner.declared.has_changed().unwrap_or(false) {
                inner.declared.mark_unchanged();
                inner.generation += 1;
            }
            let generation = inner.generation;
            let door = inner.doors.get(topic).filter(|door| door.generation == generation);
            door.map(|door| door.admission.clone()).ok_or(generation)
        })
    }

    /// The door of `topic`, if it was made from this version.
    pub(crate) fn same(&self, topic: &str, version: u64, generation: u64) -> Option<Arc<Admission>> {
        self.with(|inner| {
            let door = inner.doors.get_mut(topic).filter(|door| door.version == version)?;
            door.generation = door.generation.max(generation);
            Some(door.admission.clone())
        })
    }

    pub(crate) fn keep(&self, topic: &str, version: u64, generation: u64, admission: Arc<Admission>) {
        let door = Door { version, admission, generation };
        self.with(|inner| inner.doors.insert(topic.to_owned(), door));
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.with(|inner| inner.doors.remove(topic));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock())
    }
}
