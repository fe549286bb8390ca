//! The journey of a message, told from what the journal keeps: a pure function from sightings to steps.
//!
//! ```text
//!  request ──► stored in queue/invoices ──► handed out ─► failed ─► handed out again ─► acknowledged
//!         └──► stored in topic/orders ──┬─► mail:  handed out ─► acknowledged
//!                                       └─► stock: not looked at yet
//! ```
//!
//! Nothing is invented: what the store does not know is left blank.

mod steps;

use dozen_core::Timestamp;
use dozen_store::{ClaimStatus, ReaderStatus, Sighting};
use serde::Serialize;

use crate::sources::RequestView;
pub(crate) use steps::Step;
use steps::{steps, unclaimed};

/// What one reader has made of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Lane {
    pub(crate) reader: String,
    pub(crate) claim: Option<ClaimStatus>,
    pub(crate) steps: Vec<Step>,
}

/// One stream that it is in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stop {
    pub(crate) stream: String,
    pub(crate) position: u64,
    pub(crate) stored: Timestamp,
    pub(crate) due: Option<Timestamp>,
    pub(crate) readers: Vec<Lane>,
}

/// The whole of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Journey {
    /// What relative times count from: the request's arrival, or else the first time that it was stored.
    pub(crate) origin: Timestamp,
    /// The present moment.
    pub(crate) now: Timestamp,
    pub(crate) requests: Vec<RequestView>,
    pub(crate) stops: Vec<Stop>,
}

impl Journey {
    /// Tells it. `readers` are those of the streams that it was seen in.
    pub(crate) fn tell(
        sightings: &[Sighting],
        readers: &[ReaderStatus],
        requests: Vec<RequestView>,
        now: Timestamp,
    ) -> Self {
        let stored = sightings.iter().map(|sighting| sighting.entry.at);
        let arrived = requests.iter().map(|request| request.at);
        let origin = stored.chain(arrived).min().unwrap_or(now);
        let mark = |stream: &str, reader: &str| {
            readers.iter().find(|status| status.stream == stream && status.reader == reader)
        };
        let stop = |sighting: &Sighting| Stop {
            stream: sighting.stream.clone(),
            position: sighting.entry.position,
            stored: sighting.entry.at,
            due: sighting.entry.due,
            readers: sighting
                .readers
                .iter()
                .map(|(reader, claim)| Lane {
                    reader: reader.clone(),
                    claim: claim.clone(),
                    steps: match claim {
                        Some(claim) => steps(claim, now),
                        None => vec![unclaimed(&sighting.entry, mark(&sighting.stream, reader))],
                    },
                })
                .collect(),
        };
        Self { origin, now, requests, stops: sightings.iter().map(stop).collect() }
    }

    /// Where the drawing ends: at the last thing that is known, or at the present moment while something is open.
    pub(crate) fn end(&self) -> Timestamp {
        let lanes = || self.stops.iter().flat_map(|stop| &stop.readers);
        let is_open = lanes().any(|lane| lane.claim.as_ref().is_none_or(|claim| claim.state.is_open()));
        let requests = self.requests.iter().map(|request| request.at.after(request.took.unwrap_or_default()));
        let ends = lanes().filter_map(|lane| lane.claim.as_ref().and_then(|claim| claim.ended));
        let stored = self.stops.iter().map(|stop| stop.stored);
        let last = requests.chain(ends).chain(stored).max().unwrap_or(self.origin);
        if is_open { last.max(self.now) } else { last }
    }
}
