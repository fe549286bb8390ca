//! The names that weigh most, in bounded memory.
//!
//! The *space-saving* sketch (A. Metwally, D. Agrawal, A. El Abbadi, *Efficient Computation of Frequent and Top-k Elements in
//! Data Streams*, ICDT 2005): a name that has no place takes over that of the lightest and its weight. So no weight is lost, one
//! is too great by the lightest's at most, and a name with more than 1/places of everything is always there.

use dozen_core::Timestamp;
use serde::{Deserialize, Serialize};

/// One name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heavy {
    /// The name.
    pub name: String,
    /// How often it was seen, at most.
    pub count: u64,
    /// By how much that may be too many.
    pub over: u64,
    /// When it was seen last.
    pub last: Timestamp,
}

/// The heaviest names of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    places: usize,
    names: Vec<Heavy>,
}

/// Bytes of a name that are kept.
const NAME_MAX: usize = 200;

impl Sketch {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: places.max(1), names: Vec::new() }
    }

    /// Takes in a name, or names that another sketch has counted.
    pub(crate) fn add(&mut self, name: &str, count: u64, over: u64, at: Timestamp) {
        let end = (0..=name.len().min(NAME_MAX)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let name = &name[..end];
        if let Some(known) = self.names.iter_mut().find(|known| known.name == name) {
            known.count += count;
            known.over += over;
            known.last = known.last.max(at);
            return;
        }
        let mut fresh = Heavy { name: name.to_owned(), count, over, last: at };
        if self.names.len() < self.places {
            self.names.push(fresh);
        } else if let Some(lightest) = self.names.iter_mut().min_by_key(|known| known.count) {
            fresh.count += lightest.count;
            fresh.over += lightest.count;
            *lightest = fresh;
        }
    }

    /// The names, heaviest first.
    pub(crate) fn heaviest(&self) -> Vec<Heavy> {
        let mut names = self.names.clone();
        names.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.name.cmp(&right.name)));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weighs_most_is_found_in_few_places() {
        let mut sketch = Sketch::new(20);
        for at in 0..10_000_i64 {
            sketch.add(&format!("rare-{at}"), 1, 0, Timestamp(at));
            if at % 5 == 0 {
                sketch.add("often", 1, 0, Timestamp(at));
            }
        }
        let heaviest = sketch.heaviest();
        let first = &heaviest[0];
        assert_eq!((first.name.as_str(), heaviest.len()), ("often", 20));
        assert!(first.count >= 2_000 && first.count - first.over <= 2_000, "{first:?}");
        assert_eq!(heaviest.iter().map(|heavy| heavy.count).sum::<u64>(), 12_000, "no weight is lost");
    }
}
