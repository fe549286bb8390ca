//! The console: one web page for each pattern, and the journey of a message.
//!
//! ```text
//!  browser ──► guard ──► View: gather(store, sources) ─► data ─┬─► maud ──► text/html         /queue/invoices
//!     ▲        Host,                                           └─► serde ─► application/json  /api/queue/invoices
//!     │        same origin
//!     └── /events: the counters each time that they change, four times a second at most
//! ```
//!
//! Pages are made on the server, whole, and work without a script; a few inline lines keep the numbers of an open page
//! fresh. A page and its JSON twin are two renderings of one value, so they cannot disagree.
//!
//! **What it promises.** It answers only under loopback names and those that were configured (a page of another site
//! cannot reach it by pointing its own name at 127.0.0.1). It changes something only for a POST from one of its own
//! pages. It loads nothing from elsewhere, and everything that is shown is escaped. It takes nothing from the store
//! but what a page shows, and nothing at all while nobody looks.
//!
//! **What happens on failure.** A store that does not answer makes an error page that says so; the next request tries
//! again. The console is a view: when it is gone, nothing else notices.
//!
//! Templates are [`maud`]'s: small, long kept, checked by the compiler, and escaping is what it does unless told not
//! to. A template language of our own would be smaller only until the first escape that somebody forgot.

mod chart;
mod console;
mod dead_letters;
mod done;
mod edit;
mod error;
mod explain;
mod feature;
mod form;
mod format;
mod frame;
mod gateway;
mod guard;
mod journey;
mod letters;
mod live;
mod message;
mod messages;
mod outbox;
mod overview;
mod queue;
mod rest;
mod serve;
mod service;
mod sources;
mod topic;
mod trace;
mod translator;
mod tree;
mod view;

pub use error::Error;
pub use letters::{Act, Letters};
pub use serve::{router, serve};
pub use sources::{
    Ask, AskOf, AskSome, Declared, ExplainView, ProcessView, RequestView, RouteView, ServiceView, Sources,
    SubscriptionView,
};
