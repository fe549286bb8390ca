//! Names that objects share.
//!
//! A list of a thousand objects has the same few names a thousand times. They are kept once, with where each stands and how
//! JSON writes it, so that who reads or writes such a list compares or copies a name in one piece.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::json;

/// From how many members on names are looked up in an index. Below, walking is faster.
pub(super) const INDEXED_FROM: usize = 24;

/// Names in order, each once.
#[derive(Default)]
pub(crate) struct Shape {
    names: Vec<Arc<str>>,
    /// Where each stands, once there are many.
    index: Option<HashMap<Arc<str>, usize>>,
    /// As they are in JSON, made when somebody asks.
    written: OnceLock<Written>,
}

/// Names as JSON has them before their values: `"sku":`, one behind the other.
struct Written {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Shape {
    /// Of names that are each there once.
    pub(crate) fn of(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut shape = Self::default();
        names.into_iter().for_each(|name| shape.push(name));
        shape
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The names in order.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Adds a name that is not there.
    pub(super) fn push(&mut self, name: Arc<str>) {
        self.written.take();
        self.names.push(name);
        let count = self.names.len();
        if count >= INDEXED_FROM {
            // All of them, where it is the first time.
            let index = self.index.get_or_insert_default();
            for at in index.len()..count {
                index.insert(self.names[at].clone(), at);
            }
        }
    }

    /// Where a name stands among the first `count`; it is looked for at `guess` first.
    pub(super) fn place(&self, name: &str, count: usize, guess: usize) -> Option<usize> {
        let known = &self.names[..count];
        if known.get(guess).is_some_and(|own| **own == *name) {
            return Some(guess);
        }
        match &self.index {
            Some(index) => index.get(name).copied().filter(|at| *at < count),
            None => known.iter().position(|own| **own == *name),
        }
    }

    /// The name at `place` as JSON has it before a value: `"sku":`.
    pub(crate) fn written(&self, place: usize) -> Option<&str> {
        // One that grows is asked for the name that it does not have yet, each time.
        self.names.get(place)?;
        let written = self.written.get_or_init(|| Written::of(&self.names));
        let end = *written.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| written.ends[before]);
        Some(&written.text[start..end])
    }
}

impl Written {
    fn of(names: &[Arc<str>]) -> Self {
        let mut text = String::with_capacity(names.iter().map(|name| name.len() + 3).sum());
        let end = |name: &Arc<str>| {
            json::quoted(name, &mut text);
            text.push(':');
            text.len()
        };
        let ends = names.iter().map(end).collect();
        Self { text, ends }
    }
}
