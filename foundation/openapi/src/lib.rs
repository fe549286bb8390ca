//! What the HTTP faces of messages share, and the document that describes them.
//!
//! ```text
//!                      ┌── event.rs    a request as CloudEvents, whichever form it takes
//!  request ──► token ──┤── asked.rs    a query or body, with what is wrong with it
//!                      └── handle.rs   a lease as text, so that any process can settle it
//!                             │
//!                      Subscriber · Policy                     receive.rs · settle.rs · dead.rs
//!                             │
//!  answer  ◄── problem.rs ────┴── view.rs                      refusals (RFC 9457) and results as JSON
//! ```
//!
//! A pattern that has a face gives two things: its router, folded from a table of [`Route`]s, and a fragment of the
//! OpenAPI document. [`document`] joins the fragments; a test of the pattern holds the table and the fragment against
//! each other, so that neither can be changed alone.
//!
//! Everything that a caller sends is bounded: the body, the number of messages in it, the requests that wait, and how
//! long they wait. Whoever waits is answered at once when the process stops.

mod asked;
mod dead;
mod document;
mod event;
mod face;
mod handle;
mod problem;
mod receive;
mod settle;
mod token;
mod view;

pub use asked::{Asked, Body, Moment, Named, Nothing, Span};
pub use dead::{LookAtDead, SelectDead, edited};
pub use document::{document, operations, served};
pub use event::{Fill, messages, one_message};
pub use face::{Face, Route, alone, routed};
pub use handle::Handle;
pub use problem::Problem;
pub use receive::{Receiving, checked_lease, receive, take};
pub use settle::{Ack, Extend, Nack, Which, answered, settle};
pub use token::guarded;
pub use view::{delivery, failures, message};
