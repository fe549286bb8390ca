//! Names that come again and again are kept once.

use std::sync::Arc;

/// How many names are remembered. Another name takes the place of the one that was there.
const PLACES: usize = 64;

/// The longest name that is remembered, in bytes.
const LENGTH_MAX: usize = 32;

/// The names of a document so far. A list of a thousand objects has the same few names a thousand times.
#[derive(Default)]
pub(crate) struct Names {
    places: Vec<Option<Arc<str>>>,
}

impl Names {
    /// The name, shared with the last time it came.
    pub(crate) fn get(&mut self, name: &str) -> Arc<str> {
        let bytes = name.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return name.into() };
        if bytes.len() > LENGTH_MAX {
            return name.into();
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let middle = bytes[bytes.len() / 2];
        let mixed =
            usize::from(*first) + usize::from(*last) * 7 + usize::from(middle) * 31 + bytes.len() * 17;
        let place = &mut self.places[mixed % PLACES];
        match place {
            Some(known) if **known == *name => known.clone(),
            _ => place.insert(name.into()).clone(),
        }
    }
}
