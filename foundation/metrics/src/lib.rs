//! Metrics in Prometheus' text format, gathered when somebody asks.
//!
//! ```text
//!  Prometheus ── GET /metrics ──► Registry ──► each Collector ──► Page ──► text/plain; version=0.0.4
//!                                   │            asks the store, reads counters
//!                                   └── one gathering at a time; another within a second gets the same page
//! ```
//!
//! Most of what is worth knowing stands in the store already (what waits, what lags, what was given up), so nothing is
//! counted beside it: a collector looks when it is asked, and nothing happens while nobody scrapes. What only a process
//! knows, it counts in atomics and a collector reads them.
//!
//! **What it promises.** A page is always well-formed: each family once, with `HELP` and `TYPE`, names checked, label
//! values escaped, no series twice. It is bounded: a family has [`SERIES_MAX`] series at most, and [`top`] folds the
//! names that matter least into one called [`OTHER`]. Units are base units (seconds, bytes) and stand in the names.
//!
//! **What happens on failure.** A collector that fails or takes too long leaves its families out and shows in
//! `dozen_collector_up`; the others answer.

mod page;
mod registry;
mod top;

pub use page::{CONTENT_TYPE, Family, Histogram, Page, SERIES_MAX};
pub use registry::{Collector, Registry};
pub use top::{NAMES_MAX, OTHER, top};
