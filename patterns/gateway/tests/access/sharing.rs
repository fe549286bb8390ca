//! One limit over two gateways, and what happens when their store goes away.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dozen_core::SystemClock;
use dozen_gateway::Keeper;
use dozen_gateway::access::Entrance;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{Fault, Faulty, Store};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{Running, entrance, keeper, request, until};

fn store(folder: &Path) -> Store {
    Store::new(Sqlite::open(&folder.join("test.db"), Options::default()).unwrap(), Arc::new(SystemClock))
}

/// A gateway with one limit.
struct Gateway {
    entrance: Arc<Entrance>,
    kept: Running,
    keeper: Arc<Keeper>,
}

async fn gateway(store: Store, limit: &Value) -> Gateway {
    let keeper = keeper(Some(store));
    let entrance = entrance(&keeper, json!({}), json!({ "limit": limit }));
    let kept = Running::start(keeper.clone()).await;
    Gateway { entrance, kept, keeper }
}

impl Gateway {
    fn passes(&self) -> bool {
        request().status_now(&self.entrance) == 200
    }
}

/// Waits until each has heard of the other: until then both would take the whole burst for their own.
async fn see_each_other(gateways: [&Gateway; 2]) {
    let sees_two = |one: &&Gateway| one.keeper.limits_health().iter().all(|health| health.gateways == 2);
    until("each has heard of the other", || async { gateways.iter().all(sees_two) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_together_let_through_what_is_allowed_and_a_stated_error() {
    let folder = tempfile::tempdir().unwrap();
    let (burst, each) = (20, Duration::from_millis(50));
    let limit = json!({ "rate": "20/1s", "burst": burst, "shared": true, "sync": "50ms" });
    let common = store(folder.path());
    let (one, two) = (gateway(common.clone(), &limit).await, gateway(common.clone(), &limit).await);
    see_each_other([&one, &two]).await;
    let started = Instant::now();
    let mut passed = [0u32; 2];
    while started.elapsed() < Duration::from_secs(3) {
        // Far more than is allowed, and unevenly.
        passed[0] += (0..3).filter(|_| one.passes()).count() as u32;
        passed[1] += u32::from(two.passes());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let due = burst + u32::try_from(started.elapsed().as_nanos() / each.as_nanos()).unwrap();
    let sum = passed[0] + passed[1];
    println!("{passed:?} passed, {due} were due");
    assert!(sum <= due + 2 * burst, "{passed:?} passed, {due} were due");
    assert!(sum >= due * 3 / 4, "no more is refused than has to be: {passed:?} passed, {due} were due");
    one.kept.end().await;
    two.kept.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_let_through_another_does_not_let_through_again() {
    let folder = tempfile::tempdir().unwrap();
    let limit = json!({ "rate": "50/1h", "shared": true, "sync": "20ms" });
    let common = store(folder.path());
    let one = gateway(common.clone(), &limit).await;
    let mut passed = 0;
    while one.passes() {
        passed += 1;
    }
    assert_eq!(passed, 50, "alone it has all of it, at once");
    let written = || async { !common.table("gateway-limit").list("", 10).await.unwrap().is_empty() };
    until("it is in the store", written).await;
    let two = gateway(common.clone(), &limit).await;
    // What it gives before it has looked is the error; after that nothing passes.
    let error = AtomicU32::new(0);
    let refuses = || async {
        let passed = two.passes();
        error.fetch_add(passed.into(), Ordering::SeqCst);
        !passed
    };
    until("the other has read it", refuses).await;
    assert!(error.load(Ordering::SeqCst) <= 2 * 50);
    assert!((0..100).all(|_| !two.passes()));
    one.kept.end().await;
    two.kept.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_store_is_away_the_file_says_what_happens_and_when_it_is_back_they_count_again() {
    for (then, passing) in [("local", 5), ("allow", 100), ("deny", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let away = Arc::new(AtomicBool::new(false));
        let plan = away.clone();
        let failing = move |_: &'static str| match plan.load(Ordering::SeqCst) {
            true => Fault::Before,
            false => Fault::None,
        };
        let common = store(folder.path()).wrapped(|engine| Arc::new(Faulty::new(engine, failing)));
        let limit = json!({
            "rate": "5/1h", "shared": true, "sync": "20ms", "on-store-loss": then,
            "per": { "header": "x-tenant" }
        });
        let keeper = keeper(Some(common));
        let entrance = entrance(&keeper, json!({}), json!({ "limit": limit }));
        let kept = Running::start(keeper.clone()).await;
        let status = |tenant: &str| request().with("x-tenant", tenant).status_now(&entrance);
        assert_eq!(status("first"), 200);
        away.store(true, Ordering::SeqCst);
        // A look has to fail before anybody knows, and a request makes it look.
        let is_away = || {
            status("canary");
            keeper.limits_health()[0].away
        };
        until("the gateway knows", || async { is_away() }).await;
        let passed = (0..100).filter(|_| status("second") == 200).count();
        assert_eq!(passed, passing, "{then}");
        away.store(false, Ordering::SeqCst);
        until("the store is back", || async { !is_away() }).await;
        assert_eq!((0..100).filter(|_| status("third") == 200).count(), 5);
        kept.end().await;
    }
}
