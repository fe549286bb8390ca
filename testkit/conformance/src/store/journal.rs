//! Entries: what is there, in which order, and for whom.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_store::{Error, Op, Statement, params};

use super::bench::{Bench, Harness, LEASE, append_op, impossible, message};

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
    assert!(
        matches!(&twice, Error::Statement { problem, .. } if problem.to_uppercase().contains("UNIQUE")),
        "{twice}"
    );
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
