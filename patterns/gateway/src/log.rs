//! The last requests that went through.
//!
//! Each worker writes to a ring of its own, so that no worker waits for another; a reader takes the rings one after
//! the other. A request is written when it begins and completed when it ends, if its place has not been taken since.
//! The texts of a place are written over, not made anew.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use dozen_core::{Mutex, Timestamp};
use serde::{Deserialize, Serialize};

/// Longer paths are cut in the log.
const PATH_MAX: usize = 1024;

/// One request, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// The trace that it belongs to, as 32 hexadecimal digits.
    pub trace_id: String,
    /// When its head was complete.
    pub time: Timestamp,
    /// Its method.
    pub method: String,
    /// Its canonical path.
    pub path: String,
    /// The route that took it; none for a request that no route took.
    pub route: Option<Arc<str>>,
    /// The service that it went to.
    pub service: Option<Arc<str>>,
    /// The endpoint that was asked.
    pub upstream: Option<Arc<str>>,
    /// The status that the client got; none while it is in flight, 499 if the client went away.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of its answer's body.
    pub bytes_out: u64,
    /// What went wrong, if something did.
    pub failure: Option<String>,
}

/// A bounded memory of requests.
#[derive(Debug)]
pub struct RequestLog {
    rings: Vec<Mutex<Ring>>,
}

#[derive(Debug)]
struct Ring {
    capacity: usize,
    next: u64,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    trace: u128,
    request: Request,
}

/// Where a request was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    ring: usize,
    number: u64,
}

/// What is known of a request when it begins.
pub(crate) struct Begun<'r> {
    pub(crate) trace: u128,
    pub(crate) time: Timestamp,
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    pub(crate) route: Option<&'r Arc<str>>,
    pub(crate) service: Option<&'r Arc<str>>,
}

impl Default for RequestLog {
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl RequestLog {
    /// Remembers about `capacity` requests, divided among as many rings as there are cores.
    pub fn new(capacity: usize) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let capacity = capacity.div_ceil(count).max(1);
        let ring = || Mutex::new(Ring { capacity, next: 0, places: Vec::new() });
        Self { rings: (0..count).map(|_| ring()).collect() }
    }

    fn ring(&self, at: usize) -> MutexGuard<'_, Ring> {
        self.rings[at % self.rings.len()].lock()
    }

    pub(crate) fn begin(&self, worker: usize, begun: &Begun<'_>) -> Mark {
        let mut ring = self.ring(worker);
        let number = ring.next;
        ring.next += 1;
        let at = usize::try_from(number % ring.capacity as u64).unwrap_or(0);
        if ring.places.len() <= at {
            ring.places.push(Place { number, trace: 0, request: Request::blank() });
        }
        let Some(place) = ring.places.get_mut(at) else { return Mark { ring: worker, number } };
        place.number = number;
        place.trace = begun.trace;
        let request = &mut place.request;
        request.time = begun.time;
        request.method.clear();
        request.method.push_str(begun.method);
        request.path.clear();
        // A canonical path is ASCII, so it may be cut anywhere.
        request.path.push_str(begun.path.get(..PATH_MAX).unwrap_or(begun.path));
        request.route = begun.route.cloned();
        request.service = begun.service.cloned();
        request.upstream = None;
        request.status = None;
        request.duration_us = 0;
        request.bytes_in = 0;
        request.bytes_out = 0;
        request.failure = None;
        Mark { ring: worker, number }
    }

    /// Says which route and service a request has in the end, if its place has not been taken since.
    pub(crate) fn decided(&self, mark: Mark, route: Option<&Arc<str>>, service: Option<&Arc<str>>) {
        let mut ring = self.ring(mark.ring);
        let at = usize::try_from(mark.number % ring.capacity as u64).unwrap_or(0);
        let Some(place) = ring.places.get_mut(at).filter(|place| place.number == mark.number) else { return };
        place.request.route = route.cloned();
        place.request.service = service.cloned();
    }

    pub(crate) fn end(&self, mark: Mark, outcome: &dozen_dataplane::Outcome<'_>) {
        let mut ring = self.ring(mark.ring);
        let at = usize::try_from(mark.number % ring.capacity as u64).unwrap_or(0);
        let Some(place) = ring.places.get_mut(at).filter(|place| place.number == mark.number) else { return };
        let request = &mut place.request;
        request.upstream = outcome.address.cloned();
        request.status = Some(outcome.status);
        request.duration_us = micros(outcome.elapsed);
        request.bytes_in = outcome.bytes_in;
        request.bytes_out = outcome.bytes_out;
        request.failure = outcome.failure.map(|failure| failure.to_string());
    }

    /// The newest `count` requests, the newest first.
    pub fn recent(&self, count: usize) -> Vec<Request> {
        let mut all = self.select(|_| true, count);
        all.sort_by_key(|request| std::cmp::Reverse(request.time));
        all.truncate(count);
        all
    }

    /// The requests of one trace, the oldest first.
    pub fn by_trace(&self, trace_id: u128) -> Vec<Request> {
        let mut all = self.select(|place| place.trace == trace_id, usize::MAX);
        all.sort_by_key(|request| request.time);
        all
    }

    /// At most `each` places of every ring, from its newest.
    fn select(&self, wanted: impl Fn(&Place) -> bool, each: usize) -> Vec<Request> {
        let mut found = Vec::new();
        for at in 0..self.rings.len() {
            let ring = self.ring(at);
            let length = ring.places.len();
            let newest = usize::try_from(ring.next % ring.capacity as u64).unwrap_or(0);
            let backwards = (1..=length).map(|step| &ring.places[(newest + length - step) % length]);
            for place in backwards.filter(|place| wanted(place)).take(each) {
                let trace_id = format!("{:032x}", place.trace);
                found.push(Request { trace_id, ..place.request.clone() });
            }
        }
        found
    }
}

impl Request {
    fn blank() -> Self {
        Self {
            trace_id: String::new(),
            time: Timestamp::default(),
            method: String::new(),
            path: String::new(),
            route: None,
            service: None,
            upstream: None,
            status: None,
            duration_us: 0,
            bytes_in: 0,
            bytes_out: 0,
            failure: None,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(log: &RequestLog, worker: usize, at: i64) -> Mark {
        let trace = u128::try_from(at % 3).unwrap();
        let path = format!("/{at}");
        log.begin(
            worker,
            &Begun { trace, time: Timestamp(at), method: "GET", path: &path, route: None, service: None },
        )
    }

    #[test]
    fn the_newest_stay_and_a_trace_is_found_in_order() {
        let log = RequestLog::new(8);
        for at in 0..100 {
            begin(&log, usize::try_from(at).unwrap() % 4, at);
        }
        let recent = log.recent(5);
        assert_eq!(recent.iter().map(|one| one.time.0).collect::<Vec<_>>(), [99, 98, 97, 96, 95]);
        let of_trace: Vec<i64> = log.by_trace(0).iter().map(|one| one.time.0).collect();
        assert!(of_trace.is_sorted() && of_trace.contains(&99) && !of_trace.contains(&0), "{of_trace:?}");
        assert!(log.recent(1_000).len() <= 8 + log.rings.len());
    }

    #[test]
    fn an_end_that_comes_after_its_place_was_taken_changes_nothing() {
        let log = RequestLog::new(1);
        let outcome = dozen_dataplane::Outcome {
            worker: 0,
            status: 200,
            address: None,
            attempts: 0,
            waited: None,
            elapsed: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            failure: None,
        };
        let first = begin(&log, 0, 1);
        let second = begin(&log, 0, 2);
        log.end(first, &outcome);
        assert_eq!(log.recent(1)[0].status, None);
        log.end(second, &outcome);
        assert_eq!(log.recent(1)[0].status, Some(200));
    }
}
