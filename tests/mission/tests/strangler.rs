//! SF · strangler fig.
//!
//! Two real systems behind a facade that does what a gateway does: it asks the feature, sends, and offers to the shadow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State as With;
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use dozen_dataplane::{Body, Client, Limits, Server};
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_messaging::{Worker, WorkerOptions};
use dozen_mission::{DEADLINE, Place};
use dozen_store::Store;
use dozen_strangler::compare::Answer;
use dozen_strangler::{
    Applier, Asked, Feature, FeatureOptions, Feed, Hold, Job, Order, Primary, Registry, RegistryOptions,
    Request, Sender, Shadow, ShadowOptions, Share, Side, Stage, Unsent, Write,
};

/// A system that sells: `GET` gives a price with an id that is new each time, `PUT` is done once for each idempotency key.
#[derive(Default)]
struct System {
    price: AtomicU64,
    asked: AtomicU64,
    written: Mutex<BTreeMap<String, String>>,
}

async fn answer(
    With(system): With<Arc<System>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> ([(&'static str, &'static str); 1], String) {
    let id = system.asked.fetch_add(1, Ordering::SeqCst);
    let mut written = system.written.lock().expect("not poisoned");
    let body = if method == Method::GET {
        match written.get(uri.path()) {
            Some(found) => found.clone(),
            None => format!(r#"{{"request":{id},"price":{}.50}}"#, system.price.load(Ordering::SeqCst)),
        }
    } else {
        assert!(headers.contains_key("idempotency-key"), "a write without a key");
        written.insert(uri.path().to_owned(), body);
        "{}".into()
    };
    ([("content-type", "application/json")], body)
}

/// Sends to the two systems over connections of its own.
struct Direct {
    client: Client,
    addresses: BTreeMap<&'static str, String>,
}

#[async_trait]
impl Sender for Direct {
    async fn send(&self, service: &str, request: Request, body_max: usize) -> Result<Answer, Unsent> {
        let address = self.addresses.get(service).ok_or_else(|| Unsent::Away("it is not known".into()))?;
        let answer = self.client.send(address, request.map(Body::from), DEADLINE).await;
        let (head, body) = answer.map_err(|error| Unsent::Away(error.to_string()))?.into_parts();
        let body = body.collect(body_max).await.map_err(|_| Unsent::TooLarge(body_max))?;
        Ok(Answer::from_parts(head, body))
    }
}

fn run(service: Arc<dyn Service>) {
    tokio::spawn(async move { service.run(Stop::new(), Ready::channel().0).await.expect("it ends well") });
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

struct Scene {
    place: Place,
    store: Store,
    old: Arc<System>,
    new: Arc<System>,
    sender: Arc<Direct>,
    registry: Arc<Registry>,
    shadow: Arc<Shadow>,
}

fn options() -> FeatureOptions {
    let mut options = FeatureOptions::new("legacy", "orders");
    options.owner = Some("team-shop".into());
    options.stages = ["shadow", "compare", "5%", "50%", "complete", "retired"].map(stage).into();
    options.compare.confirm_after = Duration::from_millis(1);
    options.advance.parity = Share::percent(90);
    options.advance.samples = 60;
    options.advance.hold = Duration::ZERO;
    // How fast a loaded machine answers is not what is tested here.
    options.advance.p99 = 1_000.0;
    options
}

fn stage(text: &str) -> Stage {
    text.parse().expect("a stage")
}

async fn scene(options: FeatureOptions) -> Scene {
    let place = Place::new();
    let store = place.open().await;
    let (old, new) = (Arc::new(System::default()), Arc::new(System::default()));
    let serve = |system: &Arc<System>| {
        let server =
            Server::bind("127.0.0.1:0".parse().expect("an address"), Limits::default()).expect("a port");
        let address = server.local_addr().to_string();
        run(server.serving(Router::new().fallback(answer).with_state(system.clone())));
        address
    };
    let addresses = BTreeMap::from([("legacy", serve(&old)), ("orders", serve(&new))]);
    let sender = Arc::new(Direct { client: Client::new(), addresses });
    let features = BTreeMap::from([("checkout".to_owned(), options)]);
    let registry =
        Registry::new(store.clone(), &features, RegistryOptions::new("one", "")).expect("good options");
    registry.look().await.expect("the store answers");
    let shadow = Arc::new(Shadow::new(ShadowOptions::default(), sender.clone(), place.ids()));
    run(shadow.clone());
    Scene { place, store, old, new, sender, registry, shadow }
}

impl Scene {
    fn feature(&self) -> Arc<Feature> {
        self.registry.feature("checkout").expect("it is declared")
    }

    fn stage(&self) -> Stage {
        self.feature().state().stage
    }

    /// What the facade does with a read; gives the side that answered.
    async fn read(&self, key: &str) -> Side {
        let feature = self.feature();
        let random = self.place.ids().random();
        let decision = feature.decide(&Asked { key: Some(key), forced: None, method: "GET", random });
        let side = decision.side().expect("it is served");
        let mut call = feature.begin(&decision);
        call.waits();
        let request = http::Request::builder().uri("/price").body(Bytes::new()).expect("a request");
        let began = Instant::now();
        let answer =
            self.sender.send(feature.service(side), request.clone(), 4096).await.expect("it answers");
        let (took, now) = (began.elapsed(), self.store.clock().now());
        call.began(answer.status().as_u16());
        call.ended(Some(answer.status().as_u16()), took, Some("web"), now);
        if let Some(reserved) = decision.shadow.and_then(|_| self.shadow.reserve(answer.body().len())) {
            let primary = Primary::Whole(answer);
            self.shadow.offer(Job { feature, decision, request, primary, took, reserved });
        }
        side
    }

    /// Reads by many people until the feature is somewhere.
    async fn read_until(&self, stage: Stage) {
        let mut key = 0;
        until(&format!("it is at {stage}"), async || {
            for _ in 0..20 {
                self.read(&format!("user-{key}")).await;
                key += 1;
            }
            self.registry.look().await.expect("the store answers");
            self.stage() == stage
        })
        .await;
    }
}

#[tokio::test]
async fn sf_m4_a_feature_moves_in_small_steps_by_proof_and_back() {
    let scene = scene(options()).await;
    assert_eq!(scene.read("ann").await, Side::Old);
    scene.read_until(Stage::Complete).await;
    assert_eq!(scene.read("ann").await, Side::New);
    let history = scene.registry.history("checkout", 20).await.expect("a journal");
    let steps: Vec<String> = history.iter().map(|change| change.to.to_string()).collect();
    assert_eq!(steps, ["shadow", "compare", "5%", "50%", "complete"], "each rung, by the gate");
    assert!(history[2].why.contains("compared answers differ"), "with its reason: {}", history[2].why);
    scene.registry.order("checkout", Order::Back, "ann", "month's end").await.expect("allowed");
    assert_eq!(scene.stage(), stage("50%"), "back is one order");
    scene.registry.order("checkout", Order::Kill, "ann", "the till is down").await.expect("allowed");
    assert_eq!(scene.read("ann").await, Side::Old);
}

#[tokio::test]
async fn sf_d1_the_state_of_every_feature_is_in_one_place_with_what_is_stale_and_what_is_left() {
    let late = FeatureOptions { due: Some("2020-01-01".into()), ..options() };
    let scene = scene(late).await;
    scene.registry.order("checkout", Order::To(stage("50%")), "ann", "half of it").await.expect("allowed");
    // Another process sees the same.
    let features = BTreeMap::from([("checkout".to_owned(), scene.feature().options().clone())]);
    let other = Registry::new(scene.place.open().await, &features, RegistryOptions::new("two", ""))
        .expect("good options");
    other.look().await.expect("the store answers");
    let progress = other.progress();
    let checkout = &progress.features[0];
    assert_eq!(
        (checkout.stage, checkout.who.as_str(), checkout.why.as_str()),
        (stage("50%"), "ann", "half of it")
    );
    assert_eq!(checkout.stale, ["it was due on 2020-01-01"]);
    assert_eq!(
        checkout.left,
        ["let the new side serve everybody", "retire the old side", "take the lines out of the file"]
    );
}

#[tokio::test]
async fn sf_d2_cohorts_are_sticky_and_one_side_decides_on_writes_and_feeds_the_other() {
    let mut options = options();
    options.writes.authority = Some(Side::Old);
    let scene = scene(options).await;
    scene.registry.order("checkout", Order::To(stage("5%")), "ann", "x").await.expect("allowed");
    let sides = async || {
        let mut sides = Vec::new();
        for key in 0..60 {
            sides.push(scene.read(&format!("user-{key}")).await);
        }
        sides
    };
    let few = sides().await;
    assert_eq!(few, sides().await, "sticky");
    scene.registry.order("checkout", Order::To(stage("50%")), "ann", "x").await.expect("allowed");
    let more = sides().await;
    assert!(
        few.iter().zip(&more).all(|(before, after)| *before == Side::Old || *after == Side::New),
        "monotone"
    );
    assert!(
        more.iter().filter(|side| **side == Side::New).count()
            > few.iter().filter(|side| **side == Side::New).count()
    );

    let feature = scene.feature();
    let decision = feature.decide(&Asked { key: Some("user-1"), forced: None, method: "PUT", random: 0 });
    assert_eq!((decision.side(), decision.feed), (Some(Side::Old), Some(Side::New)));
    let feed = Feed::new(&scene.store, "checkout");
    let write = Write {
        id: "w1".into(),
        key: "/orders/1".into(),
        to: Side::New,
        method: "PUT".into(),
        target: "/orders/1".into(),
        headers: Vec::new(),
        body: Bytes::from_static(br#"{"total":7}"#),
        look: Some("/orders/1".into()),
    };
    assert!(feed.begin(&write).await.expect("noted"));
    let request = http::Request::builder().method("PUT").uri("/orders/1").header("idempotency-key", "w1");
    let request = request.body(write.body.clone()).expect("a request");
    let answer = scene.sender.send("legacy", request, 4096).await.expect("the authority answers");
    feed.end(&write, answer.status().is_success()).await.expect("fed");
    let subscriber = feed.subscriber(Duration::from_secs(10)).await.expect("a feed");
    let applier = Applier::new(feature, scene.sender.clone(), DEADLINE);
    let options = WorkerOptions::default();
    run(Arc::new(Worker::new("feed", Arc::new(subscriber), Arc::new(applier), options, scene.place.ids())));
    until("the other side has it", async || {
        scene
            .new
            .written
            .lock()
            .expect("not poisoned")
            .get("/orders/1")
            .is_some_and(|body| body == r#"{"total":7}"#)
    })
    .await;
    until("both were found equal", async || {
        scene.registry.look().await.expect("the store answers");
        let judgement = scene.feature().judgement();
        judgement
            .checks
            .iter()
            .any(|check| check.name == "writes" && check.says.starts_with("0 of 1 reconciled"))
    })
    .await;
}

#[tokio::test]
async fn sf_d3_a_difference_is_found_shown_and_takes_the_traffic_back() {
    let scene = scene(options()).await;
    scene.read_until(stage("50%")).await;
    scene.new.price.store(9, Ordering::SeqCst);
    scene.read_until(Stage::Compare).await;
    let state = scene.feature().state();
    assert_eq!((state.hold, state.who.as_str()), (Some(Hold::Frozen), "gate"));
    assert!(state.why.contains("parity"), "{}", state.why);
    let shown = scene.feature().differences();
    let price = shown.iter().flat_map(|sampled| &sampled.differences).find(|one| one.path == "$.price");
    let price = price.expect("the difference is shown");
    assert_eq!((price.old.as_str(), price.new.as_str()), ("0.50", "9.50"));
    let noise = scene.feature().noise();
    assert!(
        noise.iter().any(|noisy| noisy.place == "$.request"),
        "the request's id is known as noise: {noise:?}"
    );
    assert_eq!(scene.read("ann").await, Side::Old);
    assert!(scene.old.asked.load(Ordering::SeqCst) > 0);
}
