//! Moments: a clock that is set back, and delays behind other messages. The engine on a file and the one that is the
//! reference agree.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{ManualClock, Message, Timestamp};
use dozen_memory::Memory;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{Claimed, Ended, Engine, Start, Store};

const LEASE: Duration = Duration::from_secs(30);

fn stream() -> Arc<str> {
    "test".into()
}

fn reader() -> Arc<str> {
    "worker".into()
}

/// A reader with a clock that the test moves.
struct Timed {
    clock: Arc<ManualClock>,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Timed {
    /// On a file, and on the engine that is the reference.
    async fn both() -> [Self; 2] {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("test.db"), Options::default()).unwrap();
        [Self::on(sqlite, folder).await, Self::on(Memory::new(), tempfile::tempdir().unwrap()).await]
    }

    async fn on(engine: Arc<dyn Engine>, folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let store = Store::new(engine, clock.clone());
        store.journal().open(&stream(), &reader(), Start::Earliest).await.unwrap();
        Self { clock, store, _folder: folder }
    }

    async fn append(&self, id: &str, key: Option<&str>, due: Option<Timestamp>) {
        let message = Message::new(id, "/test", "test");
        let message = match key {
            Some(key) => message.with_key(key),
            None => message,
        };
        self.store.journal().append_due(&stream(), vec![message], due).await.unwrap();
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    async fn claim(&self) -> Vec<Claimed> {
        self.store.journal().claim(&stream(), &reader(), 10, LEASE).await.unwrap().0
    }

    async fn check_claims(&self, expected: &[&str]) -> Vec<Claimed> {
        let claims = self.claim().await;
        let ids: Vec<&str> = claims.iter().map(|claim| claim.record.id.as_str()).collect();
        assert_eq!(ids, expected);
        claims
    }

    async fn end(&self, claimed: &Claimed, ended: Ended) {
        let ends = vec![(claimed.place, ended)];
        let settled = self.store.journal().settle(&stream(), &reader(), ends).await.unwrap();
        assert_eq!(settled, [true]);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up_and_hands_nothing_out_twice() {
    for timed in Timed::both().await {
        let tomorrow = timed.now().after(Duration::from_secs(24 * 3600));
        timed.append("delayed", None, Some(tomorrow)).await;
        for id in ["held", "lost", "fails"] {
            timed.append(id, None, None).await;
        }
        for id in ["first", "second"] {
            timed.append(id, Some("key"), None).await;
        }
        let claims = timed.check_claims(&["held", "lost", "fails", "first"]).await;
        let retry = Ended::Retry { at: timed.now().after(Duration::from_secs(5)), error: "once".into() };
        timed.end(&claims[2], retry).await;
        timed.end(&claims[3], Ended::Done).await; // which releases `second`

        timed.clock.set(Timestamp(timed.now().0 - 3_600_000_000));
        timed.append("new", None, None).await;
        // What is new and what is free goes on; what somebody holds stays with them.
        let second = timed.check_claims(&["second", "new"]).await;
        timed.end(&second[0], Ended::Done).await;
        timed.end(&second[1], Ended::Done).await;
        timed.end(&claims[0], Ended::Done).await;
        timed.check_claims(&[]).await;
        // The retry comes after its wait, not after an hour and its wait.
        timed.clock.advance(Duration::from_secs(5));
        let again = timed.check_claims(&["fails"]).await;
        assert_eq!(again[0].attempts, 2);
        timed.end(&again[0], Ended::Done).await;
        timed.check_claims(&[]).await;
        // And so does what a worker held that is gone.
        timed.clock.advance(LEASE - Duration::from_secs(6));
        timed.check_claims(&[]).await;
        timed.clock.advance(Duration::from_secs(1));
        let lost = timed.check_claims(&["lost"]).await;
        assert_eq!(lost[0].attempts, 2);
        timed.end(&lost[0], Ended::Done).await;
        // What was to come at a moment comes at that moment.
        timed.clock.set(Timestamp(tomorrow.0 - 1));
        timed.check_claims(&[]).await;
        timed.clock.set(tomorrow);
        timed.check_claims(&["delayed"]).await;
    }
}

/// A message behind another of its key, with a moment of its own: both must have come.
#[tokio::test]
async fn a_released_message_keeps_its_own_delay() {
    for timed in Timed::both().await {
        let later = timed.now().after(Duration::from_secs(60));
        timed.append("first", Some("key"), None).await;
        timed.append("later", Some("key"), Some(later)).await;
        let first = timed.check_claims(&["first"]).await;
        timed.check_claims(&[]).await;
        timed.end(&first[0], Ended::Done).await;
        timed.check_claims(&[]).await;
        timed.clock.set(later);
        timed.check_claims(&["later"]).await;
    }
}
