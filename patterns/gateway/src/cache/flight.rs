//! One request on its way for all that ask the same at the same time.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use dozen_core::Mutex;
use tokio::sync::watch;

/// Flights at one time; beyond, everybody asks for themselves.
const FLIGHTS_MAX: usize = 10_000;

/// Who is on the way, by what they ask for.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Arc<str>, watch::Receiver<bool>>>);

/// What a request does about a flight.
pub(super) enum Boarding {
    /// It leads.
    Leads(Lead),
    /// Another leads; this tells when it has landed.
    Waits(Waiting),
    /// There are too many.
    Alone,
}

/// The one that is on the way. Dropped without a word, it hands the flight on to one that waits.
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: Arc<str>,
    landing: watch::Sender<bool>,
}

pub(super) struct Waiting(watch::Receiver<bool>);

impl Flights {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, watch::Receiver<bool>>> {
        self.0.lock()
    }

    pub(super) fn board(self: &Arc<Self>, key: &Arc<str>) -> Boarding {
        let mut all = self.all();
        if let Some(landing) = all.get(key) {
            return Boarding::Waits(Waiting(landing.clone()));
        }
        if all.len() >= FLIGHTS_MAX {
            return Boarding::Alone;
        }
        let (landing, landed) = watch::channel(false);
        all.insert(key.clone(), landed);
        Boarding::Leads(Lead { flights: self.clone(), key: key.clone(), landing })
    }
}

impl Lead {
    /// Whatever it brought is where the others find it, or there is nothing for them.
    pub(super) fn land(self) {
        // Dropping it removes the flight, and that is to come before anybody looks.
        self.flights.all().remove(&self.key);
        let _ = self.landing.send(true);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !*self.landing.borrow() {
            self.flights.all().remove(&self.key);
        }
    }
}

impl Waiting {
    /// Whether the flight has landed; if not, its leader went away, and somebody else has to lead.
    pub(super) async fn landed(mut self) -> bool {
        self.0.wait_for(|landed| *landed).await.is_ok()
    }
}
