//! The engine on PostgreSQL: many processes, on many machines, share one database.
//!
//! ```text
//!   commit ──┬─ appends, acknowledgements ─► group ──► one transaction of everybody who waits      one fsync for all of them
//!            ├─ leases ─────────────────────► lanes ──► pipelined, not synced
//!            └─ anything else ──────────────► pool ───► a transaction of its own
//!   begin ──────────────────────────────────► pool ───► its appends are sent with its commit
//!   query ──────────────────────────────────► pool ───► one statement, one snapshot
//!   strangers ─ insert into dozen.outbox ─► door ────► sequencer ─► entries
//! ```
//!
//! What happens inside the database stands in `sql/`, one file for each topic; this crate only calls it. Each operation is one
//! call of a function, sent without a name and together with its neighbours, so a transaction is one round trip and works
//! through a pooler in transaction mode. It needs PostgreSQL 14, no extension, and no right but to make a schema.
//!
//! **Order.** Positions are given under one lock, as the last step of a transaction, and the lock goes when the commit is
//! visible. So commits become visible in the order of their positions, and a transaction that stays open for long holds nobody
//! up: it takes the lock only when it commits. A stranger's transaction takes none; its rows become entries afterwards.
//!
//! **Nothing rots.** Entries, receipts and leases are rows that are inserted and never touched again, in segments that are
//! dropped as a whole. An old snapshot, which forbids the server to clear up, so finds nothing to be cleared up where it would
//! hurt. Only what is out of the ordinary has a row that changes: a key in use, a retry, a dead letter.
//!
//! **Hints** go by `NOTIFY`, from a connection of their own, and are never needed: every process looks for itself at least
//! every [`dozen_store::LOOK_MAX`].
//!
//! **The way there** is under TLS as the address says ([`Options::parse`]), with libpq's words and their meaning. A host that is
//! to be checked is checked on every connection, and a mode that cannot be kept is an error.
//!
//! **What a failure leaves.** A group that fails as a whole is run again one by one, so that each failure is its own. When the
//! connection is lost before the commit was sent nothing has happened; after it, nobody can know.

mod append;
mod call;
mod claims;
mod connector;
mod engine;
mod error;
mod group;
mod hints;
mod link;
mod look;
mod names;
mod numeric;
mod ops;
mod options;
mod pool;
mod read;
mod rows;
mod schema;
mod settle;
mod shared;
mod single;
mod statement;
mod tell;
mod tls;
mod tx;
mod upkeep;

pub use connector::Connector;
pub use engine::Postgres;
pub use options::Options;
