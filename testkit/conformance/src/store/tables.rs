//! Table rows, and the leases that are made of them.

use dozen_core::Timestamp;
use dozen_store::{Error, Expect, Op, Put};

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
