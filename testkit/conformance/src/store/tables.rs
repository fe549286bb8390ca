//! Table rows, and the leases that are made of them.

use std::time::Duration;

use dozen_core::{Diagnose, Retry, Timestamp};
use dozen_store::{Error, Expect, Mark, Op, Put, Store, Written};

use super::bench::{Bench, Harness, LEASE, append_op, message};

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
    let expires = bench.now().after(LEASE);
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

/// Versions of a row grow whoever writes it, and go on after a removal: they serve as fences elsewhere.
pub async fn versions_grow_from_handle_to_handle(harness: &dyn Harness) {
    let handles = [Bench::on(harness.open().await), Bench::on(harness.open().await)];
    let mut last = 0;
    for turn in 0..6 {
        let table = handles[turn % 2].store.table("things");
        let version = table.put("k", b"v".to_vec(), Expect::Any, None).await.expect("put").expect("any");
        assert!(version > last, "turn {turn}: {version} after {last}");
        last = version;
        if turn == 3 {
            assert!(table.remove("k", Expect::Version(version)).await.expect("remove"));
        }
    }
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

/// A row that is not as the transaction requires fails all of it, and is named.
pub async fn a_requirement_fails_the_whole(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let require = |key: &str, expect| {
        Op::Require(Put {
            space: "things".into(),
            key: key.into(),
            value: b"v".to_vec(),
            expect,
            expires: None,
            now: bench.now(),
        })
    };
    let commit = async |id: &str, key: &str, expect| {
        bench.store.commit(vec![append_op(&bench, id), require(key, expect), append_op(&bench, id)]).await
    };
    let mut given = commit("1", "k", Expect::Absent).await.expect("it was absent").outcomes;
    let version = given.remove(1).put().expect("a put").expect("a version");
    assert_eq!(bench.store.table("things").get("k").await.expect("get").expect("a row").version, version);
    for (key, expect) in
        [("k", Expect::Absent), ("k", Expect::Version(version + 1)), ("other", Expect::Version(version))]
    {
        let refused = commit("2", key, expect).await.expect_err("it is not as expected");
        assert!(
            matches!(&refused, Error::Unexpected { space, key: named } if space == "things" && named == key),
            "{refused}"
        );
    }
    let open = bench.store.transaction(async |tx| {
        tx.append(&bench.stream, message(None, "2"), Timestamp(1));
        tx.apply(require("k", Expect::Absent)).await.map(drop)
    });
    assert!(matches!(open.await, Err(Error::Unexpected { .. })));
    commit("3", "k", Expect::Version(version)).await.expect("this version");
    assert_eq!(bench.ids().await, ["1", "1", "3", "3"]);
    assert!(bench.store.table("things").get("other").await.expect("get").is_none());
}

/// A mark is made once, however many try at the same time; by one who marks for itself. It is kept for as long as it says,
/// and forgotten by the day.
pub async fn a_mark_is_made_once(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let there = Store::new(harness.open().await, bench.clock.clone());
    let mark = async |store: &Store, space: &str, key: &str, keep: Duration| {
        let now = bench.now();
        let marked = store.transaction(async |tx| tx.mark(&space.into(), key, now, keep).await).await;
        marked.map(|written: Written<bool>| written.value)
    };
    let week = Duration::from_secs(7 * 24 * 3600);
    // Two handles try each key at the same time, in opposite order.
    let other = if bench.store.capabilities().shared { there } else { bench.store.clone() };
    let all = async |store: &Store, keys: Vec<u32>| {
        let mut first = 0u32;
        for key in keys {
            // A transaction that the engine has to cut, because two wait for each other, is tried again.
            let made = loop {
                match mark(store, "inbox/a", &key.to_string(), week).await {
                    Ok(made) => break made,
                    Err(error) => assert_eq!(error.retry(), Retry::Later, "{error}"),
                }
            };
            first += u32::from(made);
        }
        first
    };
    let (mine, theirs) =
        tokio::join!(all(&bench.store, (0..20).collect()), all(&other, (0..20).rev().collect()));
    assert_eq!(mine + theirs, 20);
    assert!(mark(&bench.store, "inbox/b", "7", week).await.expect("mark"), "another has its own marks");
    // With the transaction it is undone; twice in one transaction is once.
    let undone = bench.store.transaction(async |tx| {
        let (space, now) = ("inbox/a".into(), bench.now());
        assert!(tx.mark(&space, "new", now, week).await?);
        assert!(!tx.mark(&space, "new", now, week).await?);
        Err::<(), _>(Error::Invalid("undone".into()))
    });
    assert!(undone.await.is_err());
    assert!(mark(&bench.store, "inbox/a", "new", week).await.expect("mark"), "it left nothing");
    // In full, beside other things.
    let marks = ["8", "new", "newer"]
        .map(|key| Op::Mark(Mark { space: "inbox/a".into(), key: key.into(), now: bench.now(), keep: week }));
    let mut ops = vec![append_op(&bench, "1")];
    ops.extend(marks);
    let outcomes = bench.store.commit(ops).await.expect("commit").outcomes;
    let made: Vec<bool> = outcomes.into_iter().skip(1).map(|made| made.marked().expect("a mark")).collect();
    assert_eq!(made, [false, false, true]);
    // Up to the last moment of its week it is there; a day after that it is gone.
    bench.clock.advance(week - Duration::from_micros(1));
    assert!(!mark(&bench.store, "inbox/a", "7", week).await.expect("mark"));
    bench.clock.advance(Duration::from_secs(24 * 3600) + Duration::from_micros(1));
    assert!(mark(&bench.store, "inbox/a", "7", week).await.expect("mark"), "forgotten");
    assert!(!mark(&other, "inbox/a", "7", week).await.expect("mark"));
}
