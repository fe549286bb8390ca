//! A database under test, and a store on it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dozen_core::{Message, SystemClock};
use dozen_harness::Postgres as Server;
use dozen_postgres::{Options, Postgres};
use dozen_store::{Claimed, Ended, Expect, Journal, Store};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// One server for the tests that leave it as it is.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[]).expect("a server"))
}

/// Blocks a thread of its own, as the harness does.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a thread")
}

pub(crate) async fn fresh() -> String {
    blocking(|| server().fresh_database().expect("a database")).await
}

pub(crate) async fn open(url: &str) -> Store {
    let engine = Postgres::open(Options::parse(url).expect("an address")).await.expect("open");
    let store = Store::new(engine, Arc::new(SystemClock));
    // Strangers publish on topics that were declared.
    for topic in ["orders", "other"] {
        let settings = br#"{"bytes_max":1048576}"#.to_vec();
        store.table("topic").put(topic, settings, Expect::Any, None).await.expect("declare");
    }
    store
}

/// A connection that is no part of dozen.
pub(crate) async fn stranger(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}

pub(crate) fn message(id: &str) -> Message {
    Message::new(id, "/test", "test").with_data(None, r#"{"n":1}"#)
}

pub(crate) fn stream() -> Arc<str> {
    "topic/orders".into()
}

pub(crate) fn worker() -> Arc<str> {
    "worker".into()
}

pub(crate) async fn append(journal: &Journal, stream: &Arc<str>, id: &str) {
    journal.append(stream, vec![message(id)]).await.expect("append");
}

pub(crate) async fn ids(journal: &Journal, stream: &Arc<str>) -> Vec<String> {
    let entries = journal.read(stream, 0, 10_000).await.expect("read");
    entries.into_iter().map(|entry| entry.record.id).collect()
}

/// What the stream holds once it has `count` entries. Waits on its hints alone.
pub(crate) async fn wait_for(journal: &Journal, stream: &Arc<str>, count: usize) -> Vec<String> {
    let mut changes = journal.changes(stream);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = ids(journal, stream).await;
        if found.len() >= count {
            return found;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let hint = tokio::time::timeout(left, changes.changed()).await;
        assert!(hint.is_ok(), "{} of {count} came: {found:?}", found.len());
    }
}

pub(crate) async fn claim(journal: &Journal, limit: usize) -> Vec<Claimed> {
    journal.claim(&stream(), &worker(), limit, LEASE).await.expect("claim").0
}

pub(crate) async fn done(journal: &Journal, claims: &[Claimed]) {
    let ends = claims.iter().map(|claim| (claim.place, Ended::Done)).collect();
    let settled = journal.settle(&stream(), &worker(), ends).await.expect("settle");
    assert!(settled.into_iter().all(|settled| settled));
}
