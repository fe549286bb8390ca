//! The PostgreSQL engine keeps the promises of a store, on a real server.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dozen_conformance::store::Harness;
use dozen_harness::Postgres as Server;
use dozen_postgres::{Options, Postgres};
use dozen_store::Engine;

/// One server for all cases, each with a database of its own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[]).expect("a server"))
}

struct OneDatabase(String);

#[async_trait]
impl Harness for OneDatabase {
    async fn fresh() -> Self {
        let database = tokio::task::spawn_blocking(|| server().fresh_database().expect("a database")).await;
        Self(server().url(&database.expect("a thread")))
    }

    async fn open(&self) -> Arc<dyn Engine> {
        Postgres::open(Options::parse(&self.0).expect("an address")).await.expect("open")
    }
}

dozen_conformance::store_suite!(OneDatabase);
