//! Locks that a panic does not poison.
//!
//! A panic while a lock is held is a defect of ours: it is reported where it happens, and ends the one task that met it. The locks of
//! the standard library would then fail everybody else who comes by, for ever. With these the others go on; so what they guard
//! has to be right after each step of a change, not only after the last.

use std::sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};

/// A mutex. Held for a few instructions, never over an `await`.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Guards `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for its turn.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock of one writer or many readers.
#[derive(Debug, Default)]
pub struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Guards `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else is there.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_under_a_lock_keeps_nobody_else_out() {
        let (one, many) = (Arc::new(Mutex::new(1)), Arc::new(RwLock::new(1)));
        let meets_a_defect = std::thread::spawn({
            let (one, many) = (one.clone(), many.clone());
            move || {
                let (mut one, mut many) = (one.lock(), many.write());
                (*one, *many) = (2, 2);
                panic!("a defect");
            }
        });
        assert!(meets_a_defect.join().is_err());
        assert_eq!((*one.lock(), *many.read()), (2, 2));
        *many.write() = 3;
        assert_eq!(*many.read(), 3);
    }
}
