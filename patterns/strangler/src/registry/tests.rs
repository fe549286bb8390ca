use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use dozen_core::Timestamp;
use dozen_store::Expect;

use super::*;
use crate::gate::Verdict;
use crate::noise::Counted;
use crate::options::{GateOptions, WriteOptions};
use crate::rows::STATES;
use crate::stage::{Hold, Order};
use crate::testing::{Place, run, until};
use crate::{Asked, OnBreach, Share, Side, Stage};

fn features(change: impl FnOnce(&mut FeatureOptions)) -> BTreeMap<String, FeatureOptions> {
    let mut options = FeatureOptions::new("legacy", "orders");
    options.owner = Some("team-shop".into());
    options.advance = GateOptions {
        samples: 100,
        hold: Duration::ZERO,
        parity: Share::percent(95),
        ..GateOptions::default()
    };
    change(&mut options);
    BTreeMap::from([("checkout".to_owned(), options)])
}

/// A process of the gateway of that name: another one each time.
async fn gateway(place: &Place, name: &str, features: &BTreeMap<String, FeatureOptions>) -> Arc<Registry> {
    static PROCESSES: AtomicU32 = AtomicU32::new(0);
    let process = PROCESSES.fetch_add(1, Ordering::SeqCst).to_string();
    let options = RegistryOptions::new(name, process);
    let registry = Registry::new(place.open().await, features, options).expect("good features");
    registry.look().await.expect("the store answers");
    registry
}

fn feature(registry: &Registry) -> Arc<Feature> {
    registry.feature("checkout").expect("it is declared")
}

fn stage(text: &str) -> Stage {
    text.parse().expect("a stage")
}

/// Requests on both sides that are all well, and `differing` of `compared` answers differ.
fn traffic(feature: &Feature, count: u64, compared: u64, differing: u64) {
    for at in 0..count {
        let key = at.to_string();
        let decision = feature.decide(&Asked { key: Some(&key), forced: None, method: "GET", random: at });
        let now = Timestamp(1);
        feature.begin(&decision).ended(Some(200), Duration::from_millis(3), None, now);
        for side in [Side::Old, Side::New] {
            feature.paired(&decision, side, Some(200), Duration::from_millis(3));
        }
        if at < compared {
            feature.compared(&decision, if at < differing { Counted::Differs } else { Counted::Same });
        }
    }
}

#[tokio::test]
async fn the_state_is_in_the_store_and_outlives_the_process() {
    let place = Place::new();
    let one = gateway(&place, "a", &features(|_| {})).await;
    assert_eq!(feature(&one).state().stage, Stage::Shadow, "it begins at the first stage of the file");
    one.order("checkout", Order::To(stage("25%")), "ann", "we are brave").await.expect("allowed");
    let other = gateway(&place, "b", &features(|_| {})).await;
    assert_eq!(feature(&other).state().stage, stage("25%"));
    let history = other.history("checkout", 10).await.expect("a journal");
    let told: Vec<_> = history
        .iter()
        .map(|change| (change.to.to_string(), change.who.as_str(), change.why.as_str()))
        .collect();
    assert_eq!(
        told,
        [("shadow".into(), "dozen", "declared in the file"), ("25%".into(), "ann", "we are brave")]
    );
    assert_eq!(history[1].from, Some(Stage::Shadow));
}

#[tokio::test]
async fn counts_of_several_gateways_are_judged_together_and_decided_once() {
    let place = Place::new();
    let (one, other) =
        (gateway(&place, "a", &features(|_| {})).await, gateway(&place, "b", &features(|_| {})).await);
    one.order("checkout", Order::To(Stage::Compare), "ann", "x").await.expect("allowed");
    other.look().await.expect("it follows");
    // Neither has enough alone.
    traffic(&feature(&one), 80, 80, 0);
    traffic(&feature(&other), 80, 80, 0);
    one.look().await.expect("it answers");
    assert_eq!(feature(&one).state().stage, Stage::Compare, "{:?}", feature(&one).judgement());
    let (first, second) = tokio::join!(other.look(), one.look());
    first.and(second).expect("they answer");
    until("both follow", async || {
        one.look().await.and(other.look().await).expect("they answer");
        feature(&one).state().stage == stage("1%") && feature(&other).state().stage == stage("1%")
    })
    .await;
    let history = one.history("checkout", 10).await.expect("a journal");
    assert_eq!(history.len(), 3, "decided once: {history:?}");
    assert_eq!(history[2].who, "gate");
    assert!(history[2].why.contains("0 of 160 compared answers differ"), "{}", history[2].why);
}

#[tokio::test]
async fn a_broken_threshold_takes_the_traffic_back_on_every_gateway_within_a_second() {
    let place = Place::new();
    let (one, other) =
        (gateway(&place, "a", &features(|_| {})).await, gateway(&place, "b", &features(|_| {})).await);
    one.order("checkout", Order::To(stage("50%")), "ann", "x").await.expect("allowed");
    let _running = [run(one.clone()), run(other.clone())];
    until("both follow", async || feature(&other).state().stage == stage("50%")).await;
    let began = Instant::now();
    traffic(&feature(&one), 200, 40, 30);
    until("everything is back", async || {
        [&one, &other].iter().all(|gateway| feature(gateway).state().effective().share() == Share::NONE)
    })
    .await;
    let took = began.elapsed();
    eprintln!("from the breach to no traffic on both gateways: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let history = one.history("checkout", 10).await.expect("a journal");
    let last = history.last().expect("the rollback");
    assert_eq!((last.who.as_str(), last.to, last.hold), ("gate", Stage::Compare, Some(Hold::Frozen)));
    assert!(last.why.contains("parity: 30 of 40 compared answers differ"), "{}", last.why);
    assert_eq!(history.len(), 3, "written down once");
}

#[tokio::test]
async fn a_new_side_that_hangs_is_found_out_while_it_hangs_and_both_gateways_go_back_within_a_second() {
    let place = Place::new();
    let window = Duration::from_secs(1);
    let declared = features(|options| options.advance.window = window);
    let (one, other) = (gateway(&place, "a", &declared).await, gateway(&place, "b", &declared).await);
    one.order("checkout", Order::To(Stage::Complete), "ann", "x").await.expect("allowed");
    let _running = [run(one.clone()), run(other.clone())];
    until("both follow", async || feature(&other).state().stage == Stage::Complete).await;
    let begin = || {
        let feature = feature(&other);
        let asked = Asked { key: None, forced: None, method: "GET", random: 0 };
        let mut call = feature.begin(&feature.decide(&asked));
        call.waits();
        call
    };
    let began = Instant::now();
    until("what is usual was measured for a whole window", async || {
        let mut call = begin();
        call.began(200);
        call.ended(Some(200), Duration::from_millis(1), None, Timestamp(1));
        began.elapsed() > 2 * window
    })
    .await;
    let began = Instant::now();
    let calls: Vec<_> = (0..30).map(|_| begin()).collect();
    until("everything is back", async || {
        [&one, &other].iter().all(|gateway| feature(gateway).state().effective().share() == Share::NONE)
    })
    .await;
    let took = began.elapsed();
    eprintln!("from the first request that hangs to no traffic on both gateways: {took:?}");
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(1), "{took:?}");
    let history = one.history("checkout", 10).await.expect("a journal");
    let why = &history.last().expect("the rollback").why;
    assert!(why.contains("the new side failed 30 of "), "{why}");
    drop(calls);
}

#[tokio::test]
async fn what_is_learnt_of_noise_is_known_to_all_gateways_outlives_them_and_can_be_forgotten() {
    use crate::compare::{Compared, Differences};

    let place = Place::new();
    let declared = features(|options| options.stages = vec![Stage::Compare]);
    let (one, other) = (gateway(&place, "a", &declared).await, gateway(&place, "b", &declared).await);
    let differs = || {
        Compared::Different(Differences {
            places: Some(["$.id".to_owned()].into()),
            ..Differences::default()
        })
    };
    let noise = declared["checkout"].compare.noise.clone();
    let judged = |gateway: &Registry| feature(gateway).noise_of().judge(&differs(), &noise);
    let look = async |gateway: &Registry| {
        gateway.looking.lock().await.used_at = None;
        gateway.look().await.expect("it answers");
    };
    (0..25).for_each(|_| feature(&one).noise_of().learn(&differs()));
    assert_eq!((judged(&one), judged(&other)), (Counted::Same, Counted::Nothing));
    look(&one).await;
    look(&other).await;
    assert_eq!(judged(&other), Counted::Same, "what the other has learnt");
    let later = gateway(&place, "c", &declared).await;
    assert_eq!(judged(&later), Counted::Same, "from its first look on");
    assert_eq!(feature(&later).noise()[0].noise, crate::gate::Rate::new(25, 25));
    later.forget_noise("checkout", "ann", "ids are stable now").await.expect("it is forgotten");
    assert_eq!(judged(&later), Counted::Nothing);
    look(&one).await;
    look(&other).await;
    assert!(feature(&one).noise().is_empty() && feature(&other).replays() == 0);
    let history = one.history("checkout", 10).await.expect("a journal");
    let last = history.last().expect("it is told");
    assert_eq!((last.who.as_str(), last.from, last.to), ("ann", Some(Stage::Compare), Stage::Compare));
    assert!(last.why.ends_with("ids are stable now"), "{}", last.why);
}

#[tokio::test]
async fn a_gateway_whose_clock_is_wrong_blinds_none_of_the_others() {
    use crate::gate::{Counts, Rate};
    use crate::rows::{COUNTS, Published};

    let place = Place::new();
    let gateway = gateway(&place, "a", &features(|_| {})).await;
    gateway.order("checkout", Order::To(stage("50%")), "ann", "x").await.expect("allowed");
    // A million good answers, counted by one that is a year ahead.
    let closed = Counts { differing: Rate::new(0, 1_000_000), ..Counts::default() };
    let (epoch, current) = (feature(&gateway).state().epoch, Counts::default());
    let ahead = rows::json(&Published { epoch, window: 525_600, closed, current });
    let table = place.open().await.table(COUNTS);
    table.put("checkout/b/1", ahead, Expect::Any, None).await.expect("written");
    traffic(&feature(&gateway), 200, 40, 30);
    gateway.look().await.expect("it answers");
    let why = feature(&gateway).judgement().reason();
    assert_eq!(feature(&gateway).state().stage, Stage::Compare, "{why}");
}

#[tokio::test]
async fn the_kill_switch_is_followed_within_a_second() {
    let place = Place::new();
    let (one, other) =
        (gateway(&place, "a", &features(|_| {})).await, gateway(&place, "b", &features(|_| {})).await);
    one.order("checkout", Order::To(Stage::Complete), "ann", "x").await.expect("allowed");
    let _running = run(other.clone());
    until("it follows", async || feature(&other).state().stage == Stage::Complete).await;
    let began = Instant::now();
    one.order("checkout", Order::Kill, "bob", "the till is down").await.expect("always allowed");
    until("it follows", async || feature(&other).state().hold == Some(Hold::Killed)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let decision = feature(&other).decide(&Asked { key: Some("x"), forced: None, method: "GET", random: 0 });
    assert_eq!(decision.side(), Some(Side::Old));
}

#[tokio::test]
async fn a_breach_freezes_where_the_file_says_so() {
    let place = Place::new();
    let gateway = gateway(&place, "a", &features(|options| options.on_breach = OnBreach::Freeze)).await;
    gateway.order("checkout", Order::To(stage("5%")), "ann", "x").await.expect("allowed");
    traffic(&feature(&gateway), 200, 40, 30);
    gateway.look().await.expect("it answers");
    let state = feature(&gateway).state();
    assert_eq!((state.stage, state.hold), (stage("5%"), Some(Hold::Frozen)));
    gateway.look().await.expect("it answers");
    assert_eq!(gateway.history("checkout", 10).await.expect("a journal").len(), 3, "and says so once");
}

#[tokio::test]
async fn what_was_counted_outlives_a_restart() {
    let place = Place::new();
    let declared = features(|options| options.stages = vec![Stage::Compare, stage("5%")]);
    let one = gateway(&place, "a", &declared).await;
    traffic(&feature(&one), 80, 80, 0);
    one.look().await.expect("it answers");
    let again = gateway(&place, "a", &declared).await;
    traffic(&feature(&again), 80, 80, 0);
    until("it goes on", async || {
        again.look().await.expect("it answers");
        feature(&again).state().stage == stage("5%")
    })
    .await;
}

#[tokio::test]
async fn the_last_word_of_an_old_process_takes_nothing_from_the_new_one_of_its_gateway() {
    let place = Place::new();
    let (before, after) =
        (gateway(&place, "a", &features(|_| {})).await, gateway(&place, "a", &features(|_| {})).await);
    before.order("checkout", Order::To(Stage::Compare), "ann", "x").await.expect("allowed");
    after.look().await.expect("it follows");
    traffic(&feature(&before), 60, 60, 0);
    traffic(&feature(&after), 80, 80, 0);
    after.looking.lock().await.used_at = None;
    after.look().await.expect("it answers");
    let stop = run(before.clone());
    until("it runs", async || before.progress().features.len() == 1).await;
    stop.soft.cancel();
    until("both are added up", async || {
        after.looking.lock().await.used_at = None;
        after.look().await.expect("it answers");
        after.progress().features[0].used.volume() == 140
    })
    .await;
    let history = after.history("checkout", 10).await.expect("a journal");
    assert!(history[2].why.contains("0 of 140 compared answers differ"), "{history:?}");
}

#[tokio::test]
async fn what_many_processes_have_left_is_folded_and_nothing_of_it_is_lost() {
    let place = Place::new();
    let declared = features(|options| options.advance.automatic = false);
    for _ in 0..12 {
        let one = gateway(&place, "a", &declared).await;
        traffic(&feature(&one), 10, 10, 0);
        one.unmapped().note("GET", "/reports/7", Timestamp(1));
        one.looking.lock().await.used_at = None;
        one.look().await.expect("it answers");
    }
    let last = gateway(&place, "a", &declared).await;
    let rows = async |table| rows::all(&place.open().await, table).await.expect("rows").len();
    assert_eq!([rows(rows::USES).await, rows(rows::COUNTS).await, rows(rows::UNMAPPED).await], [9, 9, 9]);
    let progress = last.progress();
    assert_eq!((progress.features[0].used.volume(), progress.unmapped[0].count), (120, 12));
    let errors = feature(&last).judgement().checks[0].says.clone();
    assert!(errors.contains("0 of 120 times, the old side 0 of 120"), "{errors}");
}

#[tokio::test]
async fn a_feature_that_was_taken_out_and_put_in_again_goes_on_where_it_was() {
    let place = Place::new();
    let gateway = gateway(&place, "a", &features(|_| {})).await;
    let look = async || {
        gateway.looking.lock().await.used_at = None;
        gateway.look().await.expect("it answers");
    };
    traffic(&feature(&gateway), 10, 0, 0);
    look().await;
    for _ in 0..2 {
        gateway.apply(&BTreeMap::new()).expect("none is good");
        gateway.apply(&features(|_| {})).expect("good");
        look().await;
        traffic(&feature(&gateway), 5, 0, 0);
        look().await;
    }
    assert_eq!(gateway.progress().features[0].used.volume(), 20);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_feature_from_going_back() {
    let place = Place::new();
    let mut declared = features(|_| {});
    declared.insert("aged".into(), FeatureOptions::new("legacy", "orders"));
    let gateway = gateway(&place, "a", &declared).await;
    gateway.order("checkout", Order::To(stage("50%")), "ann", "x").await.expect("allowed");
    let store = place.open().await;
    for (table, key) in [
        (STATES, "aged"),
        (rows::COUNTS, "aged/b/1"),
        (rows::COUNTS, "checkout/b/1"),
        (rows::USES, "checkout/b/1"),
        (rows::UNMAPPED, "b"),
    ] {
        store.table(table).put(key, b"{".to_vec(), Expect::Any, None).await.expect("written");
    }
    traffic(&feature(&gateway), 200, 40, 30);
    gateway.looking.lock().await.used_at = None;
    gateway.look().await.expect("the store answers");
    assert_eq!(feature(&gateway).state().stage, Stage::Compare);
    assert_eq!(gateway.unread.lock().expect("not poisoned").len(), 5, "each is told once");
    let other =
        Registry::new(place.open().await, &declared, RegistryOptions::new("c", "")).expect("good features");
    other.observe().await.expect("who only looks sees the others, too");
    assert_eq!(feature(&other).state().stage, Stage::Compare);
}

#[tokio::test]
async fn a_changed_file_keeps_what_is_known_and_bounds_the_stage() {
    let place = Place::new();
    let gateway = gateway(&place, "a", &features(|_| {})).await;
    gateway.order("checkout", Order::To(stage("25%")), "ann", "x").await.expect("allowed");
    traffic(&feature(&gateway), 10, 0, 0);
    gateway
        .apply(&features(|options| options.stages = vec![Stage::Shadow, stage("5%"), Stage::Complete]))
        .expect("good");
    assert_eq!((feature(&gateway).state().stage, feature(&gateway).used().volume()), (stage("25%"), 10));
    gateway.look().await.expect("it answers");
    assert_eq!(feature(&gateway).state().stage, stage("5%"), "the highest below that the file allows");
    let refused = gateway.apply(&features(|options| options.stages.clear()));
    assert!(refused.is_err() && feature(&gateway).state().stage == stage("5%"));
    let error = gateway.order("chekout", Order::Kill, "ann", "x").await.expect_err("no such feature");
    assert_eq!(error.to_string(), "there is no feature `chekout`; did you mean `checkout`?");
}

#[tokio::test]
async fn progress_is_weighted_by_volume_and_names_what_is_stale_and_unmapped() {
    let place = Place::new();
    let mut declared = features(|options| options.due = Some("2020-01-01".into()));
    declared.insert("search".into(), FeatureOptions::new("legacy", "finder"));
    let one = gateway(&place, "a", &declared).await;
    one.order("search", Order::To(Stage::Complete), "ann", "x").await.expect("allowed");
    let search = one.feature("search").expect("declared");
    traffic(&search, 300, 0, 0);
    traffic(&feature(&one), 100, 0, 0);
    (0..100).for_each(|at| one.unmapped().note("GET", &format!("/orders/{at}"), Timestamp(1)));
    // The last word of a registry that stops.
    let stop = run(one.clone());
    until("it runs", async || one.progress().features.len() == 2).await;
    stop.soft.cancel();
    let place = &place;
    until("its counts are there", async || {
        let other = gateway(place, "b", &features(|_| {})).await;
        other.apply(&features(|_| {})).expect("good");
        other.progress().moved.is_some()
    })
    .await;
    let mut declared = features(|options| options.due = Some("2020-01-01".into()));
    declared.insert("search".into(), FeatureOptions::new("legacy", "finder"));
    let other = gateway(place, "c", &declared).await;
    let progress = other.progress();
    assert_eq!(progress.moved, Some(0.6), "300 of 300, 0 of 100, and 100 that nobody has thought of");
    assert_eq!((progress.unmapped[0].name.as_str(), progress.unmapped[0].count), ("GET /orders/{id}", 100));
    let stale: Vec<_> = progress.features.iter().map(|feature| feature.stale.join(", ")).collect();
    assert_eq!(stale, ["it was due on 2020-01-01", "it has no owner"]);
    assert!(progress.features[1].left.contains(&"retire the old side"));
}

#[tokio::test]
async fn silence_retires_the_old_side_and_names_its_last_caller() {
    let place = Place::new();
    let declared = features(|options| options.retire.after = Some(Duration::from_millis(300)));
    let gateway = gateway(&place, "a", &declared).await;
    gateway.order("checkout", Order::To(Stage::Complete), "ann", "x").await.expect("allowed");
    let feature = feature(&gateway);
    let asked = |forced| Asked { key: Some("x"), forced, method: "GET", random: 0 };
    let store = place.open().await;
    let old = feature.decide(&asked(Some(Side::Old)));
    feature.begin(&old).ended(Some(200), Duration::ZERO, Some("batch-job"), store.clock().now());
    until("it is retired", async || {
        let new = feature.decide(&asked(None));
        feature.begin(&new).ended(Some(200), Duration::ZERO, None, store.clock().now());
        // What was served is written down every few seconds; a fresh registry reads it at once.
        gateway.looking.lock().await.used_at = None;
        gateway.look().await.expect("it answers");
        feature.state().stage == Stage::Retired
    })
    .await;
    let history = gateway.history("checkout", 10).await.expect("a journal");
    assert!(
        history.last().is_some_and(|last| last.why.contains("the last caller was batch-job")),
        "{history:?}"
    );
    assert_eq!(feature.decide(&asked(Some(Side::Old))).serve, crate::Serve::Gone(410));
}

#[tokio::test]
async fn a_feed_that_nobody_reads_holds() {
    let place = Place::new();
    let writes = WriteOptions { authority: Some(Side::Old), ..WriteOptions::default() };
    let declared =
        features(|options| (options.stages, options.writes) = (vec![Stage::Compare, stage("5%")], writes));
    let gateway = gateway(&place, "a", &declared).await;
    traffic(&feature(&gateway), 500, 500, 0);
    gateway.look().await.expect("it answers");
    let judgement = feature(&gateway).judgement();
    assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:?}");
    assert!(
        judgement.reason().contains("it is not known how far the side that is fed is behind"),
        "{}",
        judgement.reason()
    );
}
