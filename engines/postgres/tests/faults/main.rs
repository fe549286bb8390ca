//! What the suite for all engines cannot show: strangers' transactions, restores, lost connections, poolers, old snapshots,
//! segments. On real servers.

mod bench;
mod connections;
mod marks;
mod outbox;
mod restore;
mod upkeep;
