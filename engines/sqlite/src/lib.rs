//! The embedded engine: one SQLite file.
//!
//! ```text
//!   callers ──ops──► inbox ──► writer thread:  BEGIN IMMEDIATE
//!                                              savepoint of caller 1 … release
//!                                              savepoint of caller 2 … release      one fsync for all of them
//!                                              COMMIT ──► every caller is told
//!   queries ───────► reader threads: a snapshot each, never in the writer's way
//!   other processes ─► the write-ahead log changes ─► watcher ─► hints
//! ```
//!
//! **Group commit for strangers.** A commit costs one fsync, whoever takes part. The writer takes everything that
//! waits, gives each caller a savepoint of its own, and commits once. Each caller waits for its own acknowledgement
//! and pays a share of the disk.
//!
//! **Order.** There is one writer at a time in a file, so positions are given in commit order and become visible in it.
//! A reader that asks for what comes after a position can step over nothing.
//!
//! **Several processes** may use one file: SQLite's lock decides who writes, the position is read anew at the
//! beginning of each group, and the watcher notices the others' commits.
//!
//! **What a failure leaves.** A caller's failed operation rolls its own savepoint back. A failed commit (a full disk, an
//! I/O error) fails every caller of the group, and nothing of it is there.

mod claims;
mod dead_letters;
mod entries;
mod error;
mod leases;
mod marks;
mod ops;
mod outbox;
mod pool;
mod read;
mod readers;
mod room;
mod rows;
mod schema;
mod settle;
mod sieve;
mod sqlite;
mod standing;
mod upkeep;
mod watch;
mod writer;

pub use sqlite::{Durability, Options, Sqlite};
