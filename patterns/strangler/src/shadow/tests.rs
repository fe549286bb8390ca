use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::State as With;
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use dozen_core::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::gate::Counts;
use crate::options::ShadowWrites;
use crate::stage::State;
use crate::testing::{Direct, ids, run, serve, until};
use crate::{Asked, FeatureOptions};

/// A request's method and target, and its headers.
type Seen = (String, Vec<(String, String)>);

/// What a system has been asked, and how it answers.
#[derive(Default)]
struct System {
    asked: Mutex<Vec<Seen>>,
    waits: AtomicBool,
    noisy: AtomicU64,
    price: AtomicU64,
}

async fn answer(
    With(system): With<Arc<System>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> axum::response::Response {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
    system.asked.lock().expect("not poisoned").push((format!("{method} {uri}"), headers.collect()));
    if system.waits.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let (id, price) = (system.noisy.fetch_add(1, Ordering::SeqCst), system.price.load(Ordering::SeqCst));
    let body = format!(r#"{{"id":{id},"price":{price}}}"#);
    axum::response::Response::builder()
        .header("content-type", "application/json")
        .body(body.into())
        .expect("an answer")
}

/// Two systems, a feature between them, and shadowing.
struct Scene {
    old: Arc<System>,
    new: Arc<System>,
    feature: Arc<Feature>,
    shadow: Arc<Shadow>,
    sender: Arc<Direct>,
}

fn get() -> Request {
    http::Request::builder().uri("/price?card=1").body(Bytes::new()).expect("a request")
}

fn scene(stage: &str, options: ShadowOptions, change: impl FnOnce(&mut FeatureOptions)) -> Scene {
    let (old, new) = (Arc::new(System::default()), Arc::new(System::default()));
    let route = |system: &Arc<System>| serve(Router::new().fallback(answer).with_state(system.clone()));
    let sender = Direct::to(&[("legacy", &route(&old)), ("orders", &route(&new))]);
    let mut declared = FeatureOptions::new("legacy", "orders");
    declared.compare.confirm_after = Duration::from_millis(1);
    change(&mut declared);
    let feature = Feature::new("checkout", declared, Timestamp(0)).expect("good options");
    feature.adopt(State { epoch: 2, ..State::first(stage.parse().expect("a stage"), Timestamp(0)) }, 0);
    let shadow = Arc::new(Shadow::new(options, sender.clone(), ids()));
    Scene { old, new, feature: Arc::new(feature), shadow, sender }
}

impl Scene {
    /// What a gateway does with a request. Gives whether it is shadowed.
    async fn request(&self, method: &str, random: u64) -> bool {
        let asked = Asked { key: Some("ann"), forced: None, method, random };
        let decision = self.feature.decide(&asked);
        let request = http::Request::builder()
            .method(method)
            .uri("/price?card=1")
            .body(Bytes::new())
            .expect("a request");
        let side = decision.side().expect("it is served");
        let began = Instant::now();
        let answer = self
            .sender
            .send(self.feature.service(side), request.clone(), 1024)
            .await
            .expect("the primary answers");
        if decision.shadow.is_none() {
            return false;
        }
        let Some(reserved) = self.shadow.reserve(answer.body().len()) else { return false };
        let (feature, took) = (self.feature.clone(), began.elapsed());
        self.shadow.offer(Job { feature, decision, request, primary: Primary::Whole(answer), took, reserved })
    }

    fn counts(&self) -> Counts {
        self.feature.live().tally.read()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Counts) -> bool) {
        until(what, async || holds(&self.counts())).await;
    }
}

#[tokio::test]
async fn noise_is_learnt_from_the_old_system_and_a_real_difference_is_found() {
    let scene = scene("compare", ShadowOptions::default(), |_| {});
    let stop = run(scene.shadow.clone());
    for _ in 0..20 {
        scene.request("GET", u64::MAX << 32).await;
    }
    scene.until("all are looked at", |counts| counts.incomparable + counts.differing.trials == 20).await;
    for _ in 0..20 {
        scene.request("GET", u64::MAX << 32).await;
    }
    scene.until("they count", |counts| counts.incomparable + counts.differing.trials == 40).await;
    let before = scene.counts().differing;
    assert_eq!(before.hits, 0, "the id differs between any two answers: {:?}", scene.feature.noise());
    scene.new.price.store(7, Ordering::SeqCst);
    for _ in 0..5 {
        scene.request("GET", u64::MAX << 32).await;
    }
    scene.until("they differ", |counts| counts.differing.hits == 5).await;
    let sampled = scene.feature.differences();
    let price = sampled[0].differences.iter().find(|one| one.path == "$.price").expect("the price differs");
    assert_eq!(
        (price.old.as_str(), price.new.as_str(), sampled[0].request.as_str()),
        ("0", "7", "GET /price")
    );
    assert_eq!(scene.feature.noise()[0].place, "$.id");
    let counts = scene.counts();
    assert!(counts.old.failing().trials >= 45 && counts.new.failing().trials >= 45, "{counts:?}");
    stop.soft.cancel();
}

#[tokio::test]
async fn what_was_only_late_is_no_difference() {
    let scene = scene("compare", ShadowOptions::default(), |options| {
        options.compare.noise.replay_old = crate::Share::NONE;
        options.compare.ignore = vec!["$.id".into()];
        options.compare.confirm_after = Duration::from_millis(200);
    });
    let _running = run(scene.shadow.clone());
    scene.new.price.store(1, Ordering::SeqCst);
    scene.request("GET", 0).await;
    until("it is asked", async || !scene.new.asked.lock().expect("not poisoned").is_empty()).await;
    scene.new.price.store(0, Ordering::SeqCst);
    scene.until("it is counted", |counts| counts.differing.trials == 1).await;
    assert_eq!(scene.counts().differing.hits, 0);
    assert_eq!(scene.new.asked.lock().expect("not poisoned").len(), 2);
}

#[tokio::test]
async fn a_shadow_that_hangs_delays_nobody_and_is_dropped_first() {
    let options =
        ShadowOptions { waiting_max: 4, running_max: 2, bytes_max: 1_000, ..ShadowOptions::default() };
    let scene = scene("shadow", options, |_| {});
    let _running = run(scene.shadow.clone());
    scene.new.waits.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let mut taken = 0;
    for _ in 0..50 {
        taken += u32::from(scene.request("GET", 0).await);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!((4..=8).contains(&taken), "two under way, four waiting: {taken}");
    assert_eq!(scene.shadow.counts().queue_full, u64::from(50 - taken));
    let all = scene.shadow.budget.left();
    assert!(all < 1_000 && scene.shadow.reserve(all + 1).is_none());
    assert_eq!(scene.shadow.counts().over_budget, 1);
    assert_eq!(scene.old.asked.lock().expect("not poisoned").len(), 50, "every request was answered");
}

#[tokio::test]
async fn a_write_is_not_shadowed_unless_its_mode_says_how() {
    let scene_of = |shadow: ShadowWrites| {
        scene("compare", ShadowOptions::default(), move |options| options.writes.shadow = shadow)
    };
    let never = scene_of(ShadowWrites::Never);
    let _running = run(never.shadow.clone());
    assert!(!never.request("POST", 0).await);
    assert!(never.new.asked.lock().expect("not poisoned").is_empty());
    for (mode, header) in
        [(ShadowWrites::Sandbox, "dozen-sandbox"), (ShadowWrites::IdempotencyKey, "idempotency-key")]
    {
        let scene = scene_of(mode);
        let _running = run(scene.shadow.clone());
        assert!(scene.request("POST", 0).await);
        until("it is asked", async || !scene.new.asked.lock().expect("not poisoned").is_empty()).await;
        let asked = scene.new.asked.lock().expect("not poisoned").clone();
        assert!(asked[0].1.iter().any(|(name, _)| name == header), "{asked:?}");
        assert!(asked[0].1.iter().any(|(name, value)| name == "dozen-shadow" && value == "new"), "{asked:?}");
    }
}

#[tokio::test]
async fn after_the_move_the_old_side_is_shadowed_in_reverse() {
    let scene =
        scene("complete", ShadowOptions::default(), |options| options.compare.ignore = vec!["$.id".into()]);
    let _running = run(scene.shadow.clone());
    for _ in 0..25 {
        scene.request("GET", u64::MAX << 32).await;
    }
    scene.until("the way back stays proven", |counts| counts.differing.trials >= 1).await;
    let old = scene.old.asked.lock().expect("not poisoned").clone();
    assert!(old.iter().all(|(_, headers)| headers.iter().any(|(name, _)| name == "dozen-shadow")));
}

#[tokio::test]
async fn after_the_move_a_new_side_that_gives_no_answer_counts_against_it_and_the_old_one_is_heard() {
    let scene = scene("complete", ShadowOptions::default(), |options| {
        options.compare.noise.replay_old = crate::Share::NONE;
    });
    let _running = run(scene.shadow.clone());
    let asked = Asked { key: Some("ann"), forced: None, method: "GET", random: 0 };
    let decision = scene.feature.decide(&asked);
    scene.feature.begin(&decision).ended(None, Duration::ZERO, None, Timestamp(1));
    let (feature, reserved) = (scene.feature.clone(), scene.shadow.reserve(0).expect("there is room"));
    let (request, primary, took) = (get(), Primary::Nothing, Duration::ZERO);
    scene.shadow.offer(Job { feature, decision, request, primary, took, reserved });
    scene.until("it is counted", |counts| counts.differing.hits == 1).await;
    let rate = crate::gate::Rate::new;
    let (old, new) = (scene.counts().old.failing(), scene.counts().new.failing());
    assert_eq!((old, new), (rate(0, 1), rate(1, 1)), "each side once");
}

#[tokio::test]
async fn a_new_side_that_is_away_counts_as_different_and_as_an_error() {
    let scene = scene("compare", ShadowOptions::default(), |options| {
        options.new = "nowhere".into();
        options.compare.noise.replay_old = crate::Share::NONE;
    });
    let _running = run(scene.shadow.clone());
    scene.request("GET", 0).await;
    scene.until("it is counted", |counts| counts.differing.hits == 1).await;
    assert_eq!(scene.counts().new.failing(), crate::gate::Rate::new(1, 1));
}
