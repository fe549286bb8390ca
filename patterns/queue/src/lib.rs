//! Point-to-point queues: one service owns a queue, and its instances share the work.
//!
//! ```text
//!   send ──► stream `queue/NAME` ──► claims ──► worker 1
//!   (durable when it returns,                   worker 2   each message to one of them, under a lease;
//!    or with the caller's commit)               worker 3   again if it is not acknowledged
//!                                     │
//!                                     └── handed out `attempts-max` times: a dead letter, kept with its errors
//! ```
//!
//! A message is durable when [`Queue::send`] returns, or with the transaction that [`Queue::send_in`] stands in. It is
//! handed out at least once: again when its lease ends (the worker died) or when it fails (with back-off). Messages
//! with a key are handed out one after the other in the order in which they were sent; a dead letter holds back what
//! follows it under its key, and nothing else. [`Queue::consume`] runs an effect in the transaction that acknowledges
//! the message, and so exactly once; [`Queue::handle`] does the same for a plain async function and a typed message.
//!
//! A queue with priorities is one stream for each of them (`queue/NAME/3` before `queue/NAME`), read by one subscriber.

mod completion;
mod cron;
mod dead;
pub mod http;
mod options;
mod overview;
mod queue;
mod send;
mod status;

pub use completion::Completion;
pub use cron::{Cron, CronError, Entry as CronEntry, Missed};
pub use dozen_messaging::{DeadLetter, Redriven, Selection};
pub use options::{Options, Sending, Sent};
pub use overview::{Overview, name_of};
pub use queue::{Queue, READER};
pub use status::{Status, Step};
