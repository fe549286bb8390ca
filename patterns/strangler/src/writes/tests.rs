use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State as With;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use dozen_lifecycle::Stop;
use dozen_messaging::{Policy, Worker, WorkerOptions};
use dozen_store::{Store, Tx};

use super::*;
use crate::FeatureOptions;
use crate::feature::Feature;
use crate::testing::{Direct, Place, ids, run, serve, until};

/// A system with some data, that does a write once for each idempotency key.
#[derive(Default)]
struct System {
    data: Mutex<BTreeMap<String, String>>,
    keys: Mutex<Vec<String>>,
    fails: AtomicU16,
    /// What reads are answered with in the place of the data.
    hides: AtomicU16,
    fed: AtomicU16,
}

async fn answer(
    With(system): With<Arc<System>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let json = [("content-type", "application/json")];
    let path = uri.path().to_owned();
    if headers.contains_key("dozen-feed") && method == Method::GET {
        system.fed.fetch_add(1, Ordering::SeqCst);
    }
    let hides = system.hides.load(Ordering::SeqCst);
    if method == Method::GET && hides != 0 {
        return (StatusCode::from_u16(hides).expect("a status"), json, "{}".into());
    }
    if method == Method::GET {
        let found = system.data.lock().expect("not poisoned").get(&path).cloned();
        return (StatusCode::OK, json, found.unwrap_or_else(|| "null".into()));
    }
    let fails = system.fails.load(Ordering::SeqCst);
    if fails != 0 {
        return (StatusCode::from_u16(fails).expect("a status"), json, String::new());
    }
    let key = headers["idempotency-key"].to_str().expect("text").to_owned();
    let mut keys = system.keys.lock().expect("not poisoned");
    if !keys.contains(&key) {
        system.data.lock().expect("not poisoned").insert(path, body);
        keys.push(key);
    }
    (StatusCode::OK, json, String::new())
}

struct Scene {
    store: Store,
    feed: Feed,
    feature: Arc<Feature>,
    new: Arc<System>,
    sender: Arc<Direct>,
    old: Arc<System>,
    _place: Place,
}

async fn scene() -> Scene {
    let place = Place::new();
    let store = place.open().await;
    let (old, new) = (Arc::new(System::default()), Arc::new(System::default()));
    let route = |system: &Arc<System>| serve(Router::new().fallback(answer).with_state(system.clone()));
    let sender = Direct::to(&[("legacy", &route(&old)), ("orders", &route(&new))]);
    let mut options = FeatureOptions::new("legacy", "orders");
    options.writes.authority = Some(Side::Old);
    options.compare.confirm_after = Duration::from_millis(5);
    let feature = Arc::new(Feature::new("checkout", options, Timestamp(0)).expect("good options"));
    let feed = Feed::new(&store, "checkout");
    Scene { store, feed, feature, new, sender, old, _place: place }
}

impl Scene {
    async fn applies(&self) -> Stop {
        let subscriber = self.feed.subscriber(Duration::from_secs(5)).await.expect("a feed");
        let applier = Applier::new(self.feature.clone(), self.sender.clone(), Duration::from_secs(2));
        let backoff =
            dozen_core::Backoff { first: Duration::from_millis(10), cap: Duration::from_millis(20) };
        let policy = Policy { backoff, ..Policy::default() };
        let options = WorkerOptions { policy, ..WorkerOptions::default() };
        run(Arc::new(Worker::new("feed", Arc::new(subscriber), Arc::new(applier), options, ids())))
    }

    fn reconciled(&self) -> crate::gate::Rate {
        self.feature.live().tally.read().unreconciled
    }
}

fn write(id: &str, value: &str) -> Write {
    Write {
        id: id.into(),
        key: "/orders/1".into(),
        to: Side::New,
        method: "PUT".into(),
        target: "/orders/1".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Bytes::from(value.to_owned()),
        look: Some("/orders/1".into()),
    }
}

#[tokio::test]
async fn what_the_authority_took_is_applied_once_and_found_equal() {
    let scene = scene().await;
    for (id, value) in [("w1", "1"), ("w2", "2")] {
        let write = write(id, value);
        assert!(scene.feed.begin(&write).await.expect("noted"));
        scene.old.data.lock().expect("not poisoned").insert("/orders/1".into(), value.into());
        scene.feed.end(&write, true).await.expect("fed");
        scene.feed.end(&write, true).await.expect("the same outcome again feeds nothing");
    }
    assert_eq!(scene.feed.lag().await.expect("known"), None, "nobody feeds the other side yet");
    let _applying = scene.applies().await;
    until("both are reconciled", async || scene.reconciled().trials >= 2).await;
    assert_eq!(*scene.new.keys.lock().expect("not poisoned"), ["w1", "w2"], "in order, once");
    assert_eq!(scene.new.data.lock().expect("not poisoned")["/orders/1"], "2");
    until("it is not behind", async || scene.feed.lag().await.expect("known") == Some(Duration::ZERO)).await;
}

#[tokio::test]
async fn a_write_that_the_authority_refused_is_not_fed_and_one_that_nobody_knows_of_is_named() {
    let scene = scene().await;
    let refused = write("w1", "1");
    assert!(scene.feed.begin(&refused).await.expect("noted"));
    scene.feed.end(&refused, false).await.expect("forgotten");
    // The gateway dies between the two.
    let lost = write("w2", "2");
    assert!(scene.feed.begin(&lost).await.expect("noted"));
    assert!(!scene.feed.begin(&lost).await.expect("noted"), "the same write once more");
    let streams = scene.store.journal().streams("feature-writes/").await.expect("streams");
    assert!(streams.iter().all(|stream| stream.appended == 0), "{streams:?}");
    assert_eq!(scene.feed.unsettled(Duration::ZERO).await.expect("known"), [lost]);
    assert!(
        scene.feed.unsettled(Duration::from_secs(60)).await.expect("known").is_empty(),
        "it may still be under way"
    );
}

#[tokio::test]
async fn a_service_feeds_in_its_own_transaction() {
    let scene = scene().await;
    let work = scene.store.transaction(async |tx: &mut Tx| {
        scene.feed.append_in(tx, &write("w1", "1"));
        Err::<(), dozen_store::Error>(dozen_store::Error::Closed)
    });
    assert!(work.await.is_err());
    scene
        .store
        .transaction(async |tx: &mut Tx| {
            scene.feed.append_in(tx, &write("w2", "2"));
            Ok::<(), dozen_store::Error>(())
        })
        .await
        .expect("committed");
    let _applying = scene.applies().await;
    until("it is applied", async || !scene.new.keys.lock().expect("not poisoned").is_empty()).await;
    assert_eq!(*scene.new.keys.lock().expect("not poisoned"), ["w2"]);
}

#[tokio::test]
async fn a_side_that_is_away_is_behind_and_one_that_refuses_differs() {
    let scene = scene().await;
    scene.new.fails.store(503, Ordering::SeqCst);
    let _applying = scene.applies().await;
    let fed = write("w1", "1");
    scene.feed.begin(&fed).await.expect("noted");
    scene.feed.end(&fed, true).await.expect("fed");
    until("it is behind", async || scene.feed.lag().await.expect("known").is_some_and(|lag| !lag.is_zero()))
        .await;
    scene.new.fails.store(422, Ordering::SeqCst);
    until("it is refused", async || scene.reconciled() == crate::gate::Rate::new(1, 1)).await;
    until("nobody knows how far it is behind", async || scene.feed.lag().await.expect("known").is_none())
        .await;
}

#[tokio::test]
async fn what_both_sides_refuse_to_show_proves_nothing() {
    let scene = scene().await;
    let _applying = scene.applies().await;
    let counts = || scene.feature.live().tally.read();
    let fed = async |id: &str, method: &str, hidden: [u16; 2]| {
        scene.old.hides.store(hidden[0], Ordering::SeqCst);
        scene.new.hides.store(hidden[1], Ordering::SeqCst);
        let before = counts().unread + counts().unreconciled.trials;
        let write = Write { method: method.into(), ..write(id, "1") };
        scene.feed.begin(&write).await.expect("noted");
        scene.feed.end(&write, true).await.expect("fed");
        until(id, async || counts().unread + counts().unreconciled.trials > before).await;
        (counts().unread, counts().unreconciled)
    };
    let rate = crate::gate::Rate::new;
    assert_eq!(fed("refused", "PUT", [401, 401]).await, (1, rate(0, 0)));
    assert_eq!(fed("failing", "PUT", [500, 500]).await, (2, rate(0, 0)));
    assert_eq!(fed("nowhere", "PUT", [404, 404]).await, (3, rate(0, 0)));
    assert_eq!(fed("unseen", "PUT", [0, 403]).await, (4, rate(0, 0)), "nor what only one shows");
    assert_eq!(fed("removed", "DELETE", [410, 404]).await, (4, rate(0, 1)), "gone, as it should be");
    assert_eq!(fed("lost", "PUT", [0, 404]).await, (4, rate(1, 2)), "one has it, the other has not");
    let asked = scene.old.fed.load(Ordering::SeqCst);
    assert!(asked >= 6, "who reads says that it is the feed: {asked}");
}

#[test]
fn a_write_reads_as_it_is_written() {
    let write = Write { body: Bytes::from_static(b"\xff\x00"), look: None, ..write("w", "x") };
    let text = serde_json::to_string(&write).expect("it is JSON");
    assert_eq!(serde_json::from_str::<Write>(&text).expect("it reads"), write);
}
