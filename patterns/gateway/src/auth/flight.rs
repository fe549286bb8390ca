//! One question for all who ask the same at the same time.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use dozen_core::Mutex;
use ring::digest::{SHA256, digest};
use tokio::sync::OnceCell;

/// A hash of what is asked about.
type Hash = [u8; 32];

/// Questions under way. There are as many at most as there are requests that wait for one.
#[derive(Debug)]
pub(crate) struct Flights<T>(Mutex<HashMap<Hash, Arc<OnceCell<T>>>>);

/// A place in one of them. The last who leaves ends it.
pub(crate) struct Boarded<'f, T> {
    flights: &'f Flights<T>,
    hash: Hash,
    cell: Arc<OnceCell<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Flights<T> {
    fn all(&self) -> MutexGuard<'_, HashMap<Hash, Arc<OnceCell<T>>>> {
        self.0.lock()
    }

    /// Joins those who ask about `what`.
    pub(crate) fn board(&self, what: &[u8]) -> Boarded<'_, T> {
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, what).as_ref());
        let cell = self.all().entry(hash).or_default().clone();
        Boarded { flights: self, hash, cell }
    }
}

impl<T: Clone> Boarded<'_, T> {
    /// The answer. One of those who wait asks for it; if that one goes away, the next does.
    pub(crate) async fn get<F: Future<Output = T>>(&self, ask: impl FnOnce() -> F) -> T {
        self.cell.get_or_init(ask).await.clone()
    }
}

impl<T> Drop for Boarded<'_, T> {
    fn drop(&mut self) {
        let mut all = self.flights.all();
        // This one and the table's own.
        if Arc::strong_count(&self.cell) <= 2 {
            all.remove(&self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_asks_for_all_and_the_next_if_it_goes_away() {
        let (flights, asked) = (Flights::<u32>::default(), AtomicU32::new(0));
        let ask = || async { asked.fetch_add(1, Ordering::Relaxed) };
        let (one, other) = (flights.board(b"a"), flights.board(b"a"));
        let gone = tokio::time::timeout(std::time::Duration::ZERO, one.get(std::future::pending)).await;
        assert!(gone.is_err());
        drop(one);
        let third = flights.board(b"a");
        assert_eq!(tokio::join!(other.get(ask), third.get(ask)), (0, 0));
        assert_eq!(flights.board(b"b").get(ask).await, 1);
        drop((other, third));
        assert!(flights.all().is_empty(), "what is over is forgotten");
        assert_eq!(flights.board(b"a").get(ask).await, 2);
    }
}
