//! A store under test, and what the cases say with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Clock, ManualClock, Message, Timestamp};
use dozen_store::{
    Append, Claim, ClaimState, ClaimStatus, Claimed, Ended, Engine, Entry, Journal, Op, ReaderStatus, Record,
    Revision, Sifted, Start, Store,
};

/// How an engine's tests make stores.
#[async_trait]
pub trait Harness: Send + Sync {
    /// An empty one.
    async fn fresh() -> Self
    where
        Self: Sized;
    /// Opens it: each time another handle to the same store, as another process would have it where the engine can be
    /// shared.
    async fn open(&self) -> Arc<dyn Engine>;
    /// Breaks the way that wake-ups take from one handle to another, as far as the harness can: connections that listen
    /// are cut, and what was on its way is lost. It may mend by itself.
    async fn lose_wake_ups(&self) {}
}

/// A store under test, with its clock, and one reader of one stream of it.
#[derive(Clone)]
pub struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) stream: Arc<str>,
    pub(crate) reader: Arc<str>,
}

pub(crate) const LEASE: Duration = Duration::from_secs(30);

impl Bench {
    /// On this engine.
    pub fn on(engine: Arc<dyn Engine>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let store = Store::new(engine, clock.clone());
        Self { clock, store, stream: "test/orders".into(), reader: "worker".into() }
    }

    /// The same, as another reader.
    pub(crate) fn as_reader(&self, reader: &str) -> Self {
        Self { reader: reader.into(), ..self.clone() }
    }

    pub(crate) fn journal(&self) -> Journal {
        self.store.journal()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn append(&self, key: Option<&str>, id: &str) {
        self.journal().append(&self.stream, vec![message(key, id)]).await.expect("append");
    }

    pub(crate) async fn append_due(&self, id: &str, key: Option<&str>, due: Option<Timestamp>) {
        self.journal().append_due(&self.stream, vec![message(key, id)], due).await.expect("append");
    }

    pub(crate) async fn open_reader(&self) {
        self.journal().open(&self.stream, &self.reader, Start::Earliest).await.expect("open");
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.claim_next(limit).await.0
    }

    /// What it gets, and when to look again.
    pub(crate) async fn claim_next(&self, limit: usize) -> (Vec<Claimed>, Option<Timestamp>) {
        self.journal().claim(&self.stream, &self.reader, limit, LEASE).await.expect("claim")
    }

    /// Claims up to ten with so many of one key, or of what was sifted.
    pub(crate) async fn claim_as(&self, per_key: u32, sifted: Option<Sifted>) -> Vec<Claimed> {
        let claim = Claim {
            stream: self.stream.clone(),
            reader: self.reader.clone(),
            limit: 10,
            now: self.now(),
            lease: LEASE,
            per_key,
            sifted,
        };
        self.journal().claim_as(claim).await.expect("claim").0
    }

    /// Claims up to ten, which must be these.
    pub(crate) async fn check_claims(&self, expected: &[&str]) -> Vec<Claimed> {
        let claims = self.claim(10).await;
        assert_eq!(ids(&claims), expected);
        claims
    }

    pub(crate) async fn end(&self, claimed: &Claimed, ended: Ended) -> bool {
        let settled = self.journal().settle(&self.stream, &self.reader, vec![(claimed.place, ended)]).await;
        settled.expect("settle")[0]
    }

    pub(crate) async fn check_end(&self, claimed: &Claimed, ended: Ended) {
        assert!(self.end(claimed, ended).await, "{} was not ours to settle", claimed.record.id);
    }

    pub(crate) async fn revise(&self, positions: Vec<u64>, revision: Revision) -> u64 {
        let journal = self.journal();
        journal.revise(&self.stream, &self.reader, positions, 10, revision).await.expect("revise")
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.journal().read(&self.stream, 0, 10_000).await.expect("read")
    }

    pub(crate) async fn ids(&self) -> Vec<String> {
        self.entries().await.into_iter().map(|entry| entry.record.id).collect()
    }

    pub(crate) async fn status(&self) -> ReaderStatus {
        let readers = self.journal().readers(&self.stream).await.expect("readers");
        readers.into_iter().find(|status| *status.reader == *self.reader).expect("the reader")
    }

    /// Leased, waiting, held, parked.
    pub(crate) async fn check_counts(&self, expected: [u64; 4]) {
        let status = self.status().await;
        assert_eq!([status.leased, status.waiting, status.held, status.parked], expected);
    }

    pub(crate) async fn in_state(&self, state: ClaimState) -> Vec<(ClaimStatus, Option<Entry>)> {
        let claims = self.journal().claims(&self.stream, &self.reader, state, 0, 1_000).await;
        claims.expect("claims")
    }

    /// What this reader has of a message.
    pub(crate) async fn claim_of(&self, id: &str) -> Option<ClaimStatus> {
        let found = self.journal().find(id).await.expect("find");
        let sighting =
            found.into_iter().find(|sighting| *sighting.stream == *self.stream).expect("the message");
        let own = sighting.readers.into_iter().find(|(reader, _)| **reader == *self.reader);
        own.expect("the reader").1
    }
}

pub(crate) fn message(key: Option<&str>, id: &str) -> Message {
    let message = Message::new(id, "/test", "test").with_data(None, r#"{"n":1}"#);
    match key {
        Some(key) => message.with_key(key),
        None => message,
    }
}

pub(crate) fn ids(claims: &[Claimed]) -> Vec<&str> {
    claims.iter().map(|claim| claim.record.id.as_str()).collect()
}

pub(crate) fn append_op(bench: &Bench, id: &str) -> Op {
    let records = vec![Record::from(message(None, id))];
    Op::Append(Append { stream: bench.stream.clone(), records, at: Timestamp(1), due: None })
}

/// An operation that every engine refuses.
pub(crate) fn impossible() -> Op {
    Op::Append(Append { stream: "test/x".into(), records: Vec::new(), at: Timestamp(0), due: None })
}
