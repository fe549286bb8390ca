//! Things by name, for as long as somebody uses them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use dozen_core::Mutex;

/// Things of one name; several while one configuration follows another.
type Versions<O, T> = Vec<(O, Weak<T>)>;

/// Things by name, for as long as somebody uses them and their options stay the same.
pub(crate) struct Named<O, T> {
    things: Mutex<HashMap<String, Versions<O, T>>>,
}

impl<O, T> Default for Named<O, T> {
    fn default() -> Self {
        Self { things: Mutex::default() }
    }
}

impl<O: Clone + PartialEq, T> Named<O, T> {
    /// The thing of this name and these options, or a new one.
    pub(crate) fn get<E>(
        &self,
        name: &str,
        options: &O,
        make: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let mut things = self.things.lock();
        let known = things.get(name).into_iter().flatten().filter(|(known, _)| known == options);
        if let Some(thing) = known.filter_map(|(_, thing)| thing.upgrade()).next() {
            return Ok(thing);
        }
        let thing = make()?;
        things.entry(name.to_owned()).or_default().push((options.clone(), Arc::downgrade(&thing)));
        Ok(thing)
    }

    /// Forgets those that nobody uses any more.
    pub(super) fn sweep(&self) {
        let mut things = self.things.lock();
        things.retain(|_, same_name| {
            same_name.retain(|(_, thing)| thing.strong_count() > 0);
            !same_name.is_empty()
        });
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let things = self.things.lock();
        things.values().flatten().filter_map(|(_, thing)| thing.upgrade()).collect()
    }
}
