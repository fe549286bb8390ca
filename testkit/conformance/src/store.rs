//! The promises of [`dozen_store::Engine`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{ManualClock, Message, Timestamp};
use dozen_store::{
    Append, ClaimState, Claimed, Ended, Engine, Error, Expect, Fault, Faulty, Journal, Op, OpenReader,
    Record, Revision, Start, Statement, Store, params,
};

pub use crate::moments::{a_clock_that_is_set_back_holds_nothing_up, a_released_message_keeps_its_own_delay};

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
}

/// A store under test, and its clock.
pub struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    store: Store,
    pub(crate) stream: Arc<str>,
    reader: Arc<str>,
}

pub(crate) const LEASE: Duration = Duration::from_secs(30);

impl Bench {
    /// On this engine.
    pub fn on(engine: Arc<dyn Engine>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let store = Store::new(engine, clock.clone());
        Self { clock, store, stream: "test/orders".into(), reader: "worker".into() }
    }

    pub(crate) fn journal(&self) -> Journal {
        self.store.journal()
    }

    pub(crate) async fn append(&self, key: Option<&str>, id: &str) {
        self.journal().append(&self.stream, vec![message(key, id)]).await.expect("append");
    }

    pub(crate) async fn open_reader(&self) {
        self.journal().open(&self.stream, &self.reader, Start::Earliest).await.expect("open");
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.journal().claim(&self.stream, &self.reader, limit, LEASE).await.expect("claim").0
    }

    pub(crate) async fn end(&self, claimed: &Claimed, ended: Ended) -> bool {
        let settled = self.journal().settle(&self.stream, &self.reader, vec![(claimed.place, ended)]).await;
        settled.expect("settle")[0]
    }

    async fn ids(&self) -> Vec<String> {
        let entries = self.journal().read(&self.stream, 0, 1_000).await.expect("read");
        entries.into_iter().map(|entry| entry.record.id).collect()
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

fn append_op(bench: &Bench, id: &str) -> Op {
    let records = vec![Record::from(message(None, id))];
    Op::Append(Append { stream: bench.stream.clone(), records, at: Timestamp(1), due: None })
}

/// An operation that every engine refuses.
fn impossible() -> Op {
    Op::Append(Append { stream: "test/x".into(), records: Vec::new(), at: Timestamp(0), due: None })
}

/// An entry is visible if and only if the transaction that appended it committed.
pub async fn append_is_the_callers(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let written = bench
        .store
        .transaction(async |tx| {
            tx.append(&bench.stream, message(None, "kept"), Timestamp(1));
            assert!(bench.ids().await.is_empty(), "visible before the commit");
            Ok::<_, Error>(())
        })
        .await
        .expect("commit");
    assert_eq!(bench.ids().await, ["kept"]);
    let undone = bench.store.transaction(async |tx| {
        tx.append(&bench.stream, message(None, "undone"), Timestamp(1));
        Err::<(), _>(Error::Invalid("changed my mind".into()))
    });
    assert!(undone.await.is_err());
    assert_eq!(bench.ids().await, ["kept"]);
    let token = bench.journal().append(&bench.stream, vec![message(None, "later")]).await.expect("append");
    assert_eq!(written.token.seen_by(&token), Some(true));
    assert_eq!(token.seen_by(&written.token), Some(false));
}

/// What was written through one handle is there for the next one.
pub async fn what_is_committed_outlives_the_handle(harness: &dyn Harness) {
    let engine = harness.open().await;
    if !engine.capabilities().durable {
        println!("skipped: the {} engine keeps nothing beyond the process", engine.capabilities().engine);
        return;
    }
    let bench = Bench::on(engine);
    bench.open_reader().await;
    bench.append(Some("k"), "1").await;
    assert_eq!(bench.claim(1).await.len(), 1);
    drop(bench);
    let bench = Bench::on(harness.open().await);
    assert_eq!(bench.ids().await, ["1"]);
    assert!(bench.claim(1).await.is_empty(), "the lease was forgotten");
    bench.clock.advance(LEASE);
    assert_eq!(bench.claim(1).await[0].attempts, 2);
}

/// A reader never steps over an entry that becomes visible later.
pub async fn commit_order_is_read_order(harness: &dyn Harness) {
    let engine = harness.open().await;
    let bench = Arc::new(Bench::on(engine));
    let (writers, each) = (8, 40);
    let writing = async {
        let jobs = (0..writers).map(|writer| {
            let bench = bench.clone();
            async move {
                for number in 0..each {
                    let id = format!("{writer}-{number}");
                    if number % 4 == 0 {
                        let append = bench.store.transaction(async |tx| {
                            tx.append(&bench.stream, message(None, &id), Timestamp(1));
                            tokio::task::yield_now().await;
                            Ok::<_, Error>(())
                        });
                        append.await.expect("append");
                    } else {
                        bench.append(None, &id).await;
                    }
                }
            }
        });
        futures::future::join_all(jobs).await;
    };
    let reading = async {
        let (mut seen, mut after) = (Vec::new(), 0);
        let mut changes = bench.journal().changes(&bench.stream);
        while seen.len() < writers * each {
            let entries = bench.journal().read(&bench.stream, after, 7).await.expect("read");
            if entries.is_empty() {
                let _ = tokio::time::timeout(Duration::from_millis(200), changes.changed()).await;
            }
            for entry in entries {
                assert!(entry.position > after, "{} is not after {after}", entry.position);
                after = entry.position;
                seen.push(entry.record.id);
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(writing, reading);
    assert_eq!(seen, bench.ids().await, "a reader that followed saw another order than one that came later");
    for writer in 0..writers {
        let own = seen.iter().filter(|id| id.starts_with(&format!("{writer}-")));
        assert!(own.cloned().eq((0..each).map(|number| format!("{writer}-{number}"))));
    }
}

/// Of one key, one message at a time is handed out, in the order of their positions.
pub async fn per_key_order_is_strict(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for (key, id) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        bench.append(Some(key), id).await;
    }
    bench.append(None, "free").await;
    let first = bench.claim(10).await;
    assert_eq!(ids(&first), ["a1", "b1", "free"]);
    assert!(bench.claim(10).await.is_empty());
    // A retry keeps its place before what follows it.
    let at = bench.clock_now().after(Duration::from_secs(5));
    assert!(bench.end(&first[0], Ended::Retry { at, error: "no".into() }).await);
    assert!(bench.end(&first[1], Ended::Done).await);
    assert_eq!(ids(&bench.claim(10).await), ["b2"]);
    bench.clock.advance(Duration::from_secs(5));
    let retried = bench.claim(10).await;
    assert_eq!(ids(&retried), ["a1"]);
    assert_eq!(retried[0].attempts, 2);
    assert!(bench.end(&retried[0], Ended::Done).await);
    let second = bench.claim(10).await;
    assert_eq!(ids(&second), ["a2"]);
    assert!(bench.end(&second[0], Ended::Dropped("expired".into())).await);
    assert_eq!(ids(&bench.claim(10).await), ["a3"]);
}

/// What follows a dead letter under its key waits; other keys flow. Redriven it comes first, discarded it lets go.
pub async fn a_parked_key_holds_what_follows(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for (key, id) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        bench.append(Some(key), id).await;
    }
    let claims = bench.claim(10).await;
    assert_eq!(ids(&claims), ["a1", "b1"]);
    assert!(bench.end(&claims[0], Ended::Parked("poison".into())).await);
    bench.append(Some("a"), "a3").await;
    bench.append(Some("c"), "c1").await;
    assert_eq!(ids(&bench.claim(10).await), ["c1"]);
    let status = &bench.journal().readers("test/").await.expect("readers")[0];
    assert_eq!((status.parked, status.held, status.leased, status.fresh), (1, 2, 2, 0));
    assert_eq!(status.lag(), 4);
    let parked =
        bench.journal().claims(&bench.stream, &bench.reader, ClaimState::Parked, 0, 10).await.expect("claims");
    assert_eq!(parked.len(), 1);
    let failure = &parked[0].0.errors[0];
    assert_eq!((failure.error.as_str(), failure.at), ("poison", bench.clock_now()));
    assert!(failure.claimed.is_some());
    assert_eq!(parked[0].1.as_ref().map(|entry| entry.record.id.as_str()), Some("a1"));
    let revise = async |revision| {
        let journal = bench.journal();
        journal.revise(&bench.stream, &bench.reader, Vec::new(), 10, revision).await.expect("revise")
    };
    assert_eq!(revise(Revision::Redrive).await, 1);
    let again = bench.claim(10).await;
    assert_eq!(ids(&again), ["a1"]);
    assert_eq!(again[0].attempts, 1, "a redriven message starts anew");
    assert!(bench.end(&again[0], Ended::Parked("still".into())).await);
    assert_eq!(revise(Revision::Discard).await, 1);
    assert_eq!(ids(&bench.claim(10).await), ["a2"]);
}

/// After a lease has passed on, its old holder settles and extends nothing.
pub async fn a_claim_is_fenced(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    bench.append(None, "1").await;
    let old = bench.claim(1).await.remove(0);
    bench.clock.advance(LEASE);
    let new = bench.claim(1).await.remove(0);
    assert_eq!(new.place.position, old.place.position);
    assert!(!bench.end(&old, Ended::Done).await, "the old holder settled");
    let journal = bench.journal();
    let extended = journal.extend(&bench.stream, &bench.reader, vec![old.place, new.place], LEASE);
    assert_eq!(extended.await.expect("extend"), [false, true]);
    assert!(bench.end(&new, Ended::Done).await);
    assert!(!bench.end(&new, Ended::Done).await, "settled twice");
    let found = bench.journal().find("1").await.expect("find");
    let claim = found[0].readers[0].1.as_ref().expect("a claim");
    assert_eq!((claim.state, claim.attempts), (ClaimState::Done, 2));
}

/// A lease that ends is handed out again, with one attempt more; one that is extended is not.
pub async fn a_lease_that_ends_is_handed_out_again(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    bench.append(None, "1").await;
    let claimed = bench.claim(1).await.remove(0);
    assert_eq!(claimed.attempts, 1);
    bench.clock.advance(LEASE / 2);
    let journal = bench.journal();
    journal.extend(&bench.stream, &bench.reader, vec![claimed.place], LEASE).await.expect("extend");
    bench.clock.advance(LEASE / 2);
    let (none, next_due) = journal.claim(&bench.stream, &bench.reader, 1, LEASE).await.expect("claim");
    assert!(none.is_empty());
    assert_eq!(next_due, Some(bench.clock_now().after(LEASE / 2)), "when to look again");
    bench.clock.advance(LEASE / 2);
    assert_eq!(bench.claim(1).await[0].attempts, 2);
}

/// A reader that misses all hints still sees every entry by asking; and a hint does come.
pub async fn a_wake_up_is_a_hint(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let mut changes = bench.journal().changes(&bench.stream);
    changes.mark_unchanged();
    bench.append(None, "1").await;
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.expect("a hint").expect("open");
    bench.append(None, "2").await;
    drop(changes);
    bench.append(None, "3").await;
    assert_eq!(ids(&bench.claim(10).await), ["1", "2", "3"]);
}

/// A commit through one handle wakes readers of another.
pub async fn other_processes_are_woken(harness: &dyn Harness) {
    let engine = harness.open().await;
    if !engine.capabilities().shared {
        println!("skipped: the {} engine is not shared between processes", engine.capabilities().engine);
        return;
    }
    let (here, there) = (Bench::on(engine), Bench::on(harness.open().await));
    here.append(None, "first").await;
    let mut changes = there.journal().changes(&there.stream);
    for number in 0..20 {
        changes.mark_unchanged();
        here.append(None, &number.to_string()).await;
        tokio::time::timeout(Duration::from_millis(900), changes.changed())
            .await
            .expect("a hint")
            .expect("open");
    }
    assert_eq!(there.ids().await.len(), 21);
    // Also when the one that is to be woken commits at the same time: its own commits must not stand in for the other's.
    let mut position = 0;
    for number in 0..200 {
        there.append(None, &format!("own-{number}")).await;
        changes.mark_unchanged();
        let token =
            here.journal().append(&here.stream, vec![message(None, &format!("their-{number}"))]).await;
        let wanted = token.expect("append").position;
        while position < wanted {
            let seen = there.journal().tail(&there.stream, 1).await.expect("tail");
            position = seen.last().map_or(0, |entry| entry.position);
            if position < wanted {
                let hint = tokio::time::timeout(Duration::from_millis(900), changes.changed()).await;
                hint.expect("a hint").expect("open");
            }
        }
    }
    // And from the first moment of a handle on.
    for number in 0..30 {
        let newcomer = Bench::on(harness.open().await);
        let mut changes = newcomer.journal().changes(&newcomer.stream);
        let id = format!("first-{number}");
        here.append(None, &id).await;
        while newcomer.journal().tail(&newcomer.stream, 1).await.expect("tail")[0].record.id != id {
            let hint = tokio::time::timeout(Duration::from_millis(900), changes.changed()).await;
            hint.expect("a hint").expect("open");
        }
    }
    // Both write: positions are given by one of them at a time.
    let both = futures::future::join_all((0..50).map(|number| {
        let bench = if number % 2 == 0 { &here } else { &there };
        async move { bench.append(None, &format!("both-{number}")).await }
    }));
    both.await;
    assert_eq!(there.journal().streams("test/").await.expect("streams")[0].appended, 501);
    assert_eq!(here.ids().await, there.ids().await);
}

/// A failed operation leaves nothing of its transaction, and everything of its neighbours'.
pub async fn a_failed_operation_leaves_nothing(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let (good, bad, also_good) = tokio::join!(
        bench.store.commit(vec![append_op(&bench, "1"), append_op(&bench, "2")]),
        bench.store.commit(vec![append_op(&bench, "lost"), impossible()]),
        bench.store.commit(vec![append_op(&bench, "3")]),
    );
    good.expect("commit");
    assert!(bad.is_err());
    also_good.expect("commit");
    let mut ids = bench.ids().await;
    ids.sort();
    assert_eq!(ids, ["1", "2", "3"]);
    let status = bench.journal().streams("test/").await.expect("streams");
    assert_eq!(status.len(), 1, "a stream of a failed transaction was made");
    assert_eq!(status[0].appended, 3);
}

/// A transaction that is dropped leaves nothing and holds nobody up.
pub async fn a_dropped_transaction_leaves_nothing(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let mut tx = bench.store.begin().await.expect("begin");
    tx.apply(append_op(&bench, "lost")).await.expect("append");
    drop(tx);
    bench.append(None, "kept").await;
    assert_eq!(bench.ids().await, ["kept"]);
}

/// Compare-and-set on table rows; an expired row is an absent one.
pub async fn a_put_expects_what_it_says(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let table = bench.store.table("things");
    let put = |expect, expires| {
        let table = table.clone();
        async move { table.put("k", b"v".to_vec(), expect, expires).await.expect("put") }
    };
    let first = put(Expect::Absent, None).await.expect("was absent");
    assert_eq!(put(Expect::Absent, None).await, None);
    let second = put(Expect::Version(first), None).await.expect("same version");
    assert!(second > first);
    assert_eq!(put(Expect::Version(first), None).await, None);
    let expires = bench.clock_now().after(LEASE);
    put(Expect::Any, Some(expires)).await.expect("any");
    assert!(table.get("k").await.expect("get").is_some());
    bench.clock.advance(LEASE);
    assert!(table.get("k").await.expect("get").is_none());
    assert!(table.list("", 10).await.expect("list").is_empty());
    let third = put(Expect::Absent, None).await.expect("expired is absent");
    assert!(third > second, "a version came back");
    assert!(!table.remove("k", Expect::Version(second)).await.expect("remove"));
    assert!(table.remove("k", Expect::Version(third)).await.expect("remove"));
}

/// A lease has one holder at a time and passes on when it ends.
pub async fn a_lease_has_one_holder(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let lease = bench.store.lease("relay");
    let held = lease.acquire("a", LEASE).await.expect("acquire").expect("free");
    assert_eq!(lease.acquire("b", LEASE).await.expect("acquire"), None);
    let renewed = lease.acquire("a", LEASE).await.expect("acquire").expect("ours");
    assert!(renewed.fence > held.fence);
    bench.clock.advance(LEASE);
    let taken = lease.acquire("b", LEASE).await.expect("acquire").expect("it had ended");
    assert!(taken.fence > renewed.fence);
    assert!(!lease.release(renewed).await.expect("release"));
    assert!(lease.release(taken).await.expect("release"));
}

/// Readers of one stream progress each on its own, and start where they are told.
pub async fn readers_progress_alone(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let journal = bench.journal();
    bench.append(None, "1").await;
    bench.clock.advance(LEASE);
    let moment = bench.clock_now();
    bench.append(None, "2").await;
    let second = journal.tail(&bench.stream, 1).await.expect("tail")[0].position;
    bench.append(None, "3").await;
    for (reader, start, expected) in [
        ("earliest", Start::Earliest, vec!["1", "2", "3"]),
        ("at", Start::At(moment), vec!["2", "3"]),
        ("after", Start::After(second), vec!["3"]),
        ("latest", Start::Latest, vec![]),
    ] {
        let reader: Arc<str> = reader.into();
        assert!(journal.open(&bench.stream, &reader, start).await.expect("open"));
        assert!(!journal.open(&bench.stream, &reader, Start::Earliest).await.expect("open again"));
        let statuses = journal.readers(&bench.stream).await.expect("readers");
        let status = statuses.iter().find(|status| *status.reader == *reader).expect("status");
        assert_eq!(status.fresh, expected.len() as u64, "{reader}");
        let (claims, _) = journal.claim(&bench.stream, &reader, 10, LEASE).await.expect("claim");
        assert_eq!(ids(&claims), expected, "{reader}");
    }
    let earliest: Arc<str> = "earliest".into();
    journal.seek(&bench.stream, &earliest, Start::After(second)).await.expect("seek");
    let (claims, _) = journal.claim(&bench.stream, &earliest, 10, LEASE).await.expect("claim");
    assert_eq!(ids(&claims), ["3"], "after a seek");
    // Closed, a reader is gone with what it had in hand; opened again it is a new one.
    assert!(journal.close(&bench.stream, &earliest).await.expect("close"));
    assert!(!journal.close(&bench.stream, &earliest).await.expect("close again"));
    assert!(journal.open(&bench.stream, &earliest, Start::Earliest).await.expect("open anew"));
    let (claims, _) = journal.claim(&bench.stream, &earliest, 10, LEASE).await.expect("claim");
    assert_eq!(ids(&claims), ["1", "2", "3"], "after it was closed");
    let nobody = journal.claim(&bench.stream, &"nobody".into(), 1, LEASE).await;
    assert!(matches!(nobody, Err(Error::NoReader { .. })), "{nobody:?}");
}

/// A delayed message waits for its moment; what follows it does not wait for it.
pub async fn a_delay_holds_one_message(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let due = bench.clock_now().after(LEASE);
    let late = vec![message(None, "late")];
    bench.journal().append_due(&bench.stream, late, Some(due)).await.expect("append");
    bench.append(None, "now").await;
    assert_eq!(ids(&bench.claim(10).await), ["now"]);
    bench.clock.advance(LEASE);
    let claims = bench.claim(10).await;
    assert_eq!(ids(&claims), ["late", "now"], "the delayed one, and the one whose lease has ended");
    assert_eq!(claims[0].attempts, 1);
}

/// What is old and finished goes; what a reader still needs stays.
pub async fn a_trim_spares_what_is_needed(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3", "4"] {
        bench.append(None, id).await;
    }
    let claims = bench.claim(3).await;
    assert!(bench.end(&claims[0], Ended::Done).await);
    assert!(bench.end(&claims[1], Ended::Parked("poison".into())).await);
    assert!(bench.end(&claims[2], Ended::Done).await);
    bench.clock.advance(LEASE);
    let journal = bench.journal();
    let before = bench.clock_now();
    assert_eq!(journal.trim(&bench.stream, before, None, 100).await.expect("trim"), 1);
    assert_eq!(bench.ids().await, ["2", "3", "4"]);
    journal.revise(&bench.stream, &bench.reader, vec![], 10, Revision::Discard).await.expect("revise");
    assert_eq!(journal.trim(&bench.stream, before, None, 1).await.expect("trim"), 1);
    assert_eq!(journal.trim(&bench.stream, before, None, 100).await.expect("trim"), 1);
    assert_eq!(ids(&bench.claim(10).await), ["4"]);
}

/// The caller's own rows commit with the entries, or not at all.
pub async fn rows_and_entries_commit_together(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    if !bench.store.capabilities().sql {
        println!("skipped: the {} engine has no SQL", bench.store.capabilities().engine);
        return;
    }
    let run = |id: i64, fails: bool| {
        let bench = &bench;
        async move {
            let work = bench.store.transaction(async |tx| {
                tx.execute("create table if not exists orders (id integer primary key, total real)", [])
                    .await?;
                tx.execute("insert into orders values (?1, ?2)", params![id, 12.5]).await?;
                tx.append(&bench.stream, message(None, &id.to_string()), Timestamp(1));
                let rows = tx.select("select count(*) from orders", []).await?;
                if fails { Err(Error::Invalid("no".into())) } else { rows[0].integer(0) }
            });
            work.await.map(|written| written.value)
        }
    };
    assert_eq!(run(1, false).await.expect("commit"), 1);
    assert!(run(2, true).await.is_err());
    let twice = run(1, false).await.expect_err("the key is taken");
    assert!(matches!(&twice, Error::Statement { problem, .. } if problem.contains("UNIQUE")), "{twice}");
    let orders = bench.store.select("select id from orders", []).await.expect("select");
    assert_eq!(orders.len(), 1);
    assert_eq!(bench.ids().await, ["1"]);
    let ends_others = bench
        .store
        .commit(vec![Op::Execute(Statement::new("commit", params![]))])
        .await
        .expect_err("refused");
    assert!(matches!(ends_others, Error::Invalid(_)), "{ends_others}");
}

/// With faults before and after any call, nothing is lost, nothing is handled twice at a time, and it all gets done.
pub async fn nothing_is_lost_under_faults(harness: &dyn Harness) {
    for seed in 0..20u64 {
        let calls = std::sync::atomic::AtomicU64::new(seed * 7919);
        let faulty = Faulty::new(harness.open().await, move |_| {
            let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match (call.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 61 {
                0 => Fault::Before,
                1 => Fault::After,
                _ => Fault::None,
            }
        });
        let mut bench = Bench::on(Arc::new(faulty));
        bench.stream = format!("test/faults-{seed}").into();
        let open =
            OpenReader { stream: bench.stream.clone(), reader: bench.reader.clone(), start: Start::Earliest };
        while bench.store.commit(vec![Op::OpenReader(open.clone())]).await.is_err() {}
        let mut wanted = Vec::new();
        for number in 0..20 {
            let id = format!("{seed}-{number}");
            while bench.journal().append(&bench.stream, vec![message(Some("k"), &id)]).await.is_err() {}
            wanted.push(id);
        }
        let mut handled: Vec<String> = Vec::new();
        let mut idle = 0;
        while idle < 3 {
            bench.clock.advance(LEASE);
            let Ok((claims, _)) = bench.journal().claim(&bench.stream, &bench.reader, 4, LEASE).await else {
                continue;
            };
            idle = if claims.is_empty() { idle + 1 } else { 0 };
            assert!(claims.len() <= 1, "two of one key at a time");
            for claim in claims {
                if handled.last() != Some(&claim.record.id) {
                    handled.push(claim.record.id.clone());
                }
                let ends = vec![(claim.place, Ended::Done)];
                let _ = bench.journal().settle(&bench.stream, &bench.reader, ends).await;
            }
        }
        handled.dedup();
        assert_eq!(handled.len(), bench.ids_under_faults().await.len(), "seed {seed}");
        for id in &wanted {
            assert!(handled.contains(id), "seed {seed}: {id} was lost");
        }
    }
}

impl Bench {
    fn clock_now(&self) -> Timestamp {
        use dozen_core::Clock;
        self.clock.now()
    }

    /// Everything in the stream, repeats in a row (appends that were tried again) counted once.
    async fn ids_under_faults(&self) -> Vec<String> {
        loop {
            if let Ok(entries) = self.journal().read(&self.stream, 0, 10_000).await {
                let mut ids: Vec<String> = entries.into_iter().map(|entry| entry.record.id).collect();
                ids.dedup();
                return ids;
            }
        }
    }
}

/// All cases as tests of the crate that names it, with a harness of type `$harness`.
#[macro_export]
macro_rules! store_suite {
    ($harness:ty) => {
        $crate::store_suite!(@ $harness:
            append_is_the_callers what_is_committed_outlives_the_handle commit_order_is_read_order
            per_key_order_is_strict a_parked_key_holds_what_follows a_claim_is_fenced
            a_lease_that_ends_is_handed_out_again a_wake_up_is_a_hint other_processes_are_woken
            a_failed_operation_leaves_nothing a_dropped_transaction_leaves_nothing a_put_expects_what_it_says
            a_lease_has_one_holder readers_progress_alone a_delay_holds_one_message a_trim_spares_what_is_needed
            rows_and_entries_commit_together nothing_is_lost_under_faults
            a_clock_that_is_set_back_holds_nothing_up a_released_message_keeps_its_own_delay);
    };
    (@ $harness:ty: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = <$harness as $crate::store::Harness>::fresh().await;
            $crate::store::$case(&harness).await;
        })*
    };
}
