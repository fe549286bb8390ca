//! What the suite for all engines cannot show: strangers' transactions, restores, lost connections, poolers, TLS, old
//! snapshots, segments. On real servers.

mod bench;
mod connections;
mod marks;
mod outbox;
mod restore;
mod tls;
mod upkeep;
