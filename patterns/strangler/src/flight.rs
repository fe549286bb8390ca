//! Requests that a side keeps waiting.
//!
//! ```text
//!  request ─► the bundle of this moment: +1 ───── its answer begins, or it ends ─► −1
//!                 │ each sweep begins another bundle
//!                 └ once everybody in a bundle has waited for too long, it is closed: they have failed
//! ```
//!
//! A side that hangs says nothing. Counted when they end, its requests would be counted when the time-out of their route is
//! over, and everybody has had to wait for it. So a request that has waited for too long ([`Pace`](crate::pace::Pace)) has
//! failed while it still waits, and is not counted again when it ends: which of the two came first is decided by one atomic
//! word, with no lock on the way of a request.
//!
//! Bounded: a bundle for each sweep of the longest patience, less those that are empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::Side;
use crate::pace::LEAST;

/// Set once a bundle is closed; below it stands how many are in it.
const CLOSED: u64 = 1 << 63;

/// Requests that began between two sweeps.
#[derive(Debug, Default)]
struct Bundle(AtomicU64);

impl Bundle {
    /// One more, unless it is closed.
    fn enter(&self) -> bool {
        let is_open = self.0.fetch_add(1, Ordering::AcqRel) & CLOSED == 0;
        if !is_open {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
        is_open
    }

    /// One less; says whether it was closed before.
    fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) & CLOSED != 0
    }

    /// Closes it; gives how many are still in it.
    fn close(&self) -> u64 {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED
    }

    /// Closes it if nobody is in it.
    fn is_over(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A place among those who wait.
#[derive(Debug)]
pub(crate) struct Waiting(Option<Arc<Bundle>>);

impl Waiting {
    /// It waits no more. Says whether it was given up before.
    pub(crate) fn over(mut self) -> bool {
        self.0.take().is_some_and(|bundle| bundle.leave())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bundle) = self.0.take() {
            bundle.leave();
        }
    }
}

/// Those who wait for one side.
#[derive(Debug, Default)]
struct Lane {
    present: ArcSwap<Bundle>,
    /// When nobody entered a bundle any more, oldest first.
    earlier: Mutex<VecDeque<(Instant, Arc<Bundle>)>>,
}

impl Lane {
    fn enter(&self) -> Waiting {
        loop {
            // Closed is only what is not the present one any more, so this is over at once.
            let bundle = self.present.load_full();
            if bundle.enter() {
                return Waiting(Some(bundle));
            }
        }
    }

    fn given_up(&self, now: Instant, patience: impl FnOnce() -> Duration) -> u64 {
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.retain(|(_, bundle)| !bundle.is_over());
        earlier.push_back((now, self.present.swap(Arc::default())));
        let age = |until: Instant| now.saturating_duration_since(until);
        // Nobody has to know how long is too long before somebody may have waited for so long.
        if earlier.front().is_none_or(|(until, _)| age(*until) < LEAST) {
            return 0;
        }
        let patience = patience();
        let mut given_up = 0;
        while let Some((_, bundle)) = earlier.front().filter(|(until, _)| age(*until) >= patience) {
            given_up += bundle.close();
            earlier.pop_front();
        }
        given_up
    }
}

/// Those who wait for the two sides of a feature.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    old: Lane,
    new: Lane,
}

impl Flight {
    /// Somebody waits for a side from now on.
    pub(crate) fn enter(&self, side: Side) -> Waiting {
        self.lane(side).enter()
    }

    /// Gives up those who have waited for a side for longer than `patience`; says how many. Each is given up once.
    pub(crate) fn given_up(&self, side: Side, now: Instant, patience: impl FnOnce() -> Duration) -> u64 {
        self.lane(side).given_up(now, patience)
    }

    fn lane(&self, side: Side) -> &Lane {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[test]
    fn who_waits_for_too_long_is_given_up_once_and_who_does_not_is_not() {
        let (flight, start) = (Flight::default(), Instant::now());
        let sweep = |after: u64| {
            let now = start + Duration::from_millis(after);
            flight.given_up(Side::New, now, || PATIENCE)
        };
        let (hangs, answers) = (flight.enter(Side::New), flight.enter(Side::New));
        assert_eq!(sweep(0), 0);
        let late = flight.enter(Side::New);
        assert!(!answers.over(), "it is answered in time");
        assert_eq!((sweep(900), sweep(1_000), sweep(1_100)), (0, 1, 0));
        assert!(hangs.over(), "it was given up before it ended");
        assert_eq!(sweep(1_900), 1, "whoever came later waits as long");
        assert!(late.over());
        drop(flight.enter(Side::Old));
        assert_eq!(flight.given_up(Side::Old, start + 9 * PATIENCE, || PATIENCE), 0);
        assert!(flight.new.earlier.lock().expect("not poisoned").len() <= 2, "what is empty is let go");
    }

    #[test]
    fn each_request_is_counted_by_one_of_the_two_whoever_is_first() {
        let flight = Arc::new(Flight::default());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let flight = flight.clone();
                std::thread::spawn(move || {
                    (0..20_000).filter(|_| flight.enter(Side::New).over()).count() as u64
                })
            })
            .collect();
        let (mut at, mut given_up) = (Instant::now(), 0);
        while threads.iter().any(|thread| !thread.is_finished()) {
            at += LEAST;
            given_up += flight.given_up(Side::New, at, || LEAST);
        }
        let heard: u64 = threads.into_iter().map(|thread| thread.join().expect("it counts")).sum();
        assert_eq!(heard, given_up);
    }
}
