//! The words that every part of dozen shares.
//!
//! Patterns never know each other; they meet through the data in this crate. A gateway balances over an
//! [`EndpointSet`] without knowing who discovered it, an outbox relays a [`Message`] without knowing who will
//! subscribe to it, and a reader waits for a [`Token`] without knowing which pattern committed it.
//!
//! Nothing here does I/O, starts a task, or reads a clock behind your back: time comes from a [`Clock`], and
//! random numbers from a seed that the caller hands in. That is what lets a test replay a whole system.

mod backoff;
mod clock;
mod diagnose;
pub mod duration;
mod endpoint;
mod fnv;
mod id;
mod lock;
mod message;
mod nearest;
pub mod span;
mod token;
mod trace;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use diagnose::{Diagnose, Fault, Retry, chain};
pub use endpoint::{Endpoint, EndpointSet};
pub use fnv::Fnv;
pub use id::Ids;
pub use lock::{Mutex, RwLock};
pub use message::{Attribute, Message, MessageError};
pub use nearest::nearest;
pub use token::{Token, TokenError};
pub use trace::TraceContext;
