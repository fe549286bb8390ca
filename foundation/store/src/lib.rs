//! The heart: transactions, one journal, tables and leases, over any engine.
//!
//! Outbox, queue, topic, event stream and saga are the same thing seen from five sides: *entries appended in a
//! transaction, and readers that progress*. So there is one mechanism for all of them.
//!
//! ```text
//!      Store ── transaction ──► Tx ──┬── append(stream, message)      in one commit with
//!        │                           ├── settle(reader, lease, …)     the caller's own rows
//!        │                           ├── put(space, key, value)
//!        │                           └── execute(sql)
//!        ├── journal()  read a stream · claim and settle as a reader · look a message up
//!        ├── table()    small records with versions and expiry
//!        └── lease()    one holder at a time, fenced
//!
//!      ═══════ Engine: commit a batch · begin · answer a query · hint at changes ═══════
//!               memory           sqlite           postgres         (faults and telemetry wrap any of them)
//! ```
//!
//! What crosses the line to an engine is data: an [`Op`] changes something inside a transaction, a [`Query`] reads
//! from a snapshot. An engine therefore is four methods, a decorator is four methods, and a transaction that is known
//! in full ([`Store::commit`]) crosses a thread or a network once instead of once per step.
//!
//! **The reader's model** ([`Claim`]). A reader of a stream has a high-water mark: everything up to it has been looked
//! at. What is taken together is leased together, as one row, and each message that is done is one row more. Only what is
//! out of the ordinary has a row that changes: a message with a key, one that waits to be retried, one that is held
//! behind another of its key, a dead letter. There is no index on the backlog, and a topic with a thousand subscriptions
//! stores each message once.

mod engine;
mod error;
mod fault;
mod journal;
mod lease;
mod observe;
mod op;
mod own;
mod query;
mod record;
mod store;
mod table;
mod tx;
mod value;

pub use engine::{Capabilities, Changes, Committed, Engine, EngineTx, LOOK_MAX, end_of, hint_of};
pub use error::Error;
pub use fault::{Fault, Faulty};
pub use journal::Journal;
pub use lease::{Held, Lease};
pub use observe::Observed;
pub use op::{
    Append, Claim, Claimed, CloseReader, Compact, Ended, Expect, Extend, Mark, Op, OpenReader, Outcome,
    Pause, Place, Put, Remove, Revise, Revision, Seek, Settle, Sifted, Start, Trim,
};
pub use own::{OutboxRow, OwnTransaction};
pub use query::{
    Answer, ClaimState, ClaimStatus, Entry, Failure, Query, ReaderStatus, Sighting, StreamStatus,
};
pub use record::Record;
pub use store::{Store, Written};
pub use table::{Row as TableRow, Table};
pub use tx::Tx;
pub use value::{Row, Statement, Value};
