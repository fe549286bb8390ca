//! Bytes that shadowing may hold, all of it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that is shared. What does not fit is refused at once; nobody waits.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
}

/// Bytes that are held; given back when dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// Holds so many bytes, if they are left.
    pub fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let taken =
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Reserved { budget: self.clone(), bytes })
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }
}

impl Reserved {
    /// Holds so many more, if they are left.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        match self.budget.reserve(bytes) {
            Some(mut more) => {
                self.bytes += std::mem::take(&mut more.bytes);
                true
            }
            None => false,
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_dropped_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.reserve(60).expect("there is room");
        assert!(budget.reserve(50).is_none());
        assert!(first.grow(30) && !first.grow(20));
        assert_eq!(budget.left(), 10);
        drop(first);
        assert_eq!(budget.left(), 100);
    }
}
