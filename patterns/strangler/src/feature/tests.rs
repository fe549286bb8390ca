use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::decide::{Asked, Serve};
use crate::gate::{Counts, Rate};
use crate::noise::Counted;
use crate::options::ShadowWrites;
use crate::options::WriteOptions;
use crate::stage::Hold;
use crate::{Share, Side, cohort};

fn feature(options: FeatureOptions) -> Feature {
    Feature::new("checkout", options, Timestamp(0)).expect("the options are good")
}

fn plain() -> FeatureOptions {
    FeatureOptions::new("legacy", "orders")
}

fn at(options: FeatureOptions, stage: &str) -> Feature {
    let feature = feature(options);
    let stage = stage.parse().expect("a stage");
    feature.adopt(State { epoch: 2, ..State::first(stage, Timestamp(0)) }, 0);
    feature
}

fn get(key: Option<&str>) -> Asked<'_> {
    Asked { key, forced: None, method: "GET", random: 0 }
}

fn post(key: Option<&str>) -> Asked<'_> {
    Asked { method: "POST", ..get(key) }
}

/// A key on each side of one per cent.
fn keys() -> (String, String) {
    let inside = |key: &String| Share::percent(1).takes(cohort::point("checkout", key));
    let mut keys = (0..10_000).map(|number| number.to_string());
    let within = keys.clone().find(inside).expect("one in a hundred");
    (within, keys.find(|key| !inside(key)).expect("the others"))
}

#[test]
fn each_stage_serves_and_shadows_as_it_says() {
    let (within, outside) = keys();
    for (stage, key, serves, shadows) in [
        ("off", &within, Side::Old, None),
        ("shadow", &within, Side::Old, Some(Side::New)),
        ("compare", &within, Side::Old, Some(Side::New)),
        ("1%", &within, Side::New, Some(Side::Old)),
        ("1%", &outside, Side::Old, Some(Side::New)),
        ("complete", &outside, Side::New, Some(Side::Old)),
        ("retired", &outside, Side::New, None),
    ] {
        let decision = at(plain(), stage).decide(&get(Some(key)));
        assert_eq!((decision.serve, decision.shadow), (Serve::Side(serves), shadows), "{stage} {key}");
        assert_eq!(decision.header("checkout"), Some(format!("checkout={serves}")));
    }
    assert_eq!(
        at(plain(), "50%").decide(&get(None)).serve,
        Serve::Side(Side::Old),
        "without a key nothing is sticky"
    );
    assert_eq!(at(plain(), "complete").decide(&get(None)).serve, Serve::Side(Side::New));
}

#[test]
fn a_tester_chooses_but_not_against_the_kill_switch() {
    let forced = |side| Asked { forced: Some(side), ..get(Some("ann")) };
    assert_eq!(at(plain(), "off").decide(&forced(Side::New)).serve, Serve::Side(Side::New));
    assert_eq!(at(plain(), "complete").decide(&forced(Side::Old)).serve, Serve::Side(Side::Old));
    assert_eq!(at(plain(), "retired").decide(&forced(Side::Old)).serve, Serve::Gone(410));
    let killed = at(plain(), "50%");
    killed.adopt(State { hold: Some(Hold::Killed), epoch: 3, ..killed.state() }, 1);
    let decision = killed.decide(&forced(Side::New));
    assert_eq!((decision.serve, decision.shadow), (Serve::Side(Side::Old), None));
}

#[test]
fn writes_are_never_shadowed_unless_a_mode_says_how() {
    let of =
        |shadow| FeatureOptions { writes: WriteOptions { shadow, ..WriteOptions::default() }, ..plain() };
    assert_eq!(at(of(ShadowWrites::Never), "compare").decide(&post(None)).shadow, None);
    assert_eq!(at(of(ShadowWrites::Sandbox), "compare").decide(&post(None)).shadow, Some(Side::New));
    assert_eq!(
        at(of(ShadowWrites::Sandbox), "complete").decide(&post(None)).shadow,
        None,
        "and never the old side"
    );
    assert!(!at(of(ShadowWrites::Sandbox), "compare").decide(&post(None)).twice);
}

#[test]
fn one_side_takes_the_writes_and_the_other_is_fed() {
    let authority = |side| {
        let writes = WriteOptions { authority: Some(side), ..WriteOptions::default() };
        FeatureOptions { writes, ..plain() }
    };
    let (within, _) = keys();
    for (declared, stage, serves, feeds) in [
        (Side::Old, "shadow", Side::Old, Some(Side::New)),
        (Side::Old, "1%", Side::Old, Some(Side::New)),
        (Side::New, "1%", Side::New, Some(Side::Old)),
        (Side::Old, "complete", Side::New, Some(Side::Old)),
        (Side::Old, "retired", Side::New, None),
        (Side::Old, "off", Side::Old, None),
    ] {
        let decision = at(authority(declared), stage).decide(&post(Some(&within)));
        assert_eq!((decision.serve, decision.feed), (Serve::Side(serves), feeds), "{declared} {stage}");
    }
    let killed = at(authority(Side::New), "50%");
    killed.adopt(State { hold: Some(Hold::Killed), epoch: 3, ..killed.state() }, 1);
    let decision = killed.decide(&post(Some(&within)));
    assert_eq!(
        (decision.side(), decision.feed),
        (Some(Side::Old), Some(Side::New)),
        "it must not miss anything"
    );
    let read = at(authority(Side::Old), "1%").decide(&get(Some(&within)));
    assert_eq!((read.serve, read.feed), (Serve::Side(Side::New), None), "a read goes by its key");
}

#[test]
fn a_sample_is_shadowed_and_noise_is_learnt_first() {
    let mut options = plain();
    options.compare.sample = Share::percent(25);
    let feature = at(options, "compare");
    let decide = |random| feature.decide(&Asked { random, ..get(None) });
    let shadowed = (0..400u64).filter(|at| decide(at << 32 | (at * 10_737_418)).shadow.is_some()).count();
    assert!((95..=105).contains(&shadowed), "{shadowed} of 400");
    assert!(decide(0).twice, "nothing is known of its noise yet");
    (0..20).for_each(|_| feature.noise_of().learn(&crate::compare::Compared::Same));
    let twice = (0..1_000u64).filter(|at| decide((at * 4_294_967) << 32).twice).count();
    assert!((19..=21).contains(&twice), "2 % from then on: {twice}");
}

#[test]
fn what_is_seen_counts_for_the_epoch_that_decided_it() {
    let feature = at(plain(), "50%");
    let decision = feature.decide(&get(Some("ann")));
    feature.begin(&decision).ended(Some(200), Duration::from_millis(5), None, Timestamp(1));
    assert_eq!(
        feature.live().tally.read().old.failing().trials + feature.live().tally.read().new.failing().trials,
        1
    );
    feature.adopt(State { epoch: 3, ..feature.state() }, 1);
    feature.begin(&decision).ended(Some(500), Duration::from_millis(5), None, Timestamp(1));
    feature.compared(&decision, Counted::Differs);
    assert_eq!(feature.live().tally.read(), Counts::default(), "it belongs to an epoch that is over");
    assert_eq!(feature.used().volume(), 2);
}

#[test]
fn whom_the_new_side_fails_counts_at_every_stage_in_which_it_serves() {
    let asked = |feature: &Feature| {
        let counts = feature.live().tally.read();
        (counts.new.failing().hits, counts.new.failing().trials, counts.old.failing().trials)
    };
    let fails = |feature: &Feature, asked: &Asked<'_>| {
        let decision = feature.decide(asked);
        feature.begin(&decision).ended(None, Duration::from_millis(5), None, Timestamp(1));
    };
    let complete = at(plain(), "complete");
    fails(&complete, &post(Some("ann")));
    fails(&complete, &get(Some("ann")));
    assert_eq!(asked(&complete), (2, 2, 0), "writes too");
    assert_eq!(complete.live().tally.read().new.latency.total(), 0, "nothing to compare their times with");
    let pair = complete.decide(&get(Some("ann")));
    complete.paired(&pair, Side::New, None, Duration::from_millis(5));
    complete.paired(&pair, Side::Old, Some(200), Duration::from_millis(5));
    assert_eq!(asked(&complete), (2, 2, 1), "whom it serves is not counted twice");
    assert_eq!(complete.live().tally.read().new.latency.total(), 1);
    let compare = at(plain(), "compare");
    fails(&compare, &get(Some("ann")));
    assert_eq!(asked(&compare), (0, 0, 0), "the old side's users are compared by pairs");
}

/// A minute later, in which nobody has said how long answers usually take.
fn sweep(feature: &Feature) -> bool {
    // The first one closes the door behind those who wait.
    feature.sweep(Instant::now());
    feature.sweep(Instant::now() + Duration::from_secs(61))
}

#[test]
fn whom_the_new_side_keeps_waiting_it_has_failed_once_whatever_becomes_of_them() {
    let failing = |feature: &Feature| feature.live().tally.read().new.failing();
    let rate = Rate::new;
    let feature = at(plain(), "complete");
    let begin = |waits: bool| {
        let mut call = feature.begin(&feature.decide(&get(Some("ann"))));
        if waits {
            call.waits();
        }
        call
    };
    let (late, never, gone, heard, sends) =
        (begin(true), begin(true), begin(true), begin(true), begin(false));
    let mut heard = heard;
    heard.began(200);
    assert!(sweep(&feature), "somebody must look at it");
    assert_eq!(
        failing(&feature),
        rate(3, 3),
        "who still sends, or has the head of an answer, is not kept waiting"
    );
    assert!(!sweep(&feature) && failing(&feature) == rate(3, 3), "once");
    let took = Duration::from_secs(40);
    late.ended(Some(200), took, None, Timestamp(1));
    never.ended(None, took, None, Timestamp(1));
    gone.cut(None, Timestamp(1));
    assert_eq!(failing(&feature), rate(3, 3), "their ends count no more");
    heard.ended(Some(200), took, None, Timestamp(1));
    sends.ended(Some(503), took, None, Timestamp(1));
    assert_eq!((failing(&feature), feature.used().new), (rate(4, 5), 5));
    // Of an epoch that is over nothing counts.
    let (mut old, mut young) = (begin(false), begin(false));
    old.waits();
    feature.adopt(State { epoch: 3, ..feature.state() }, 1);
    young.waits();
    assert!(!sweep(&feature));
    assert_eq!(failing(&feature), Rate::default());
    // Whom the old side serves alone, it may keep.
    let compare = at(plain(), "compare");
    let mut call = compare.begin(&compare.decide(&get(None)));
    call.waits();
    assert!(!sweep(&compare));
}

#[test]
fn how_long_somebody_may_wait_follows_what_answers_usually_take() {
    let feature = at(plain(), "50%");
    let (began, window) = (Instant::now(), feature.options().advance.window);
    let sweep = |after: u64| feature.sweep(began + window + Duration::from_millis(after));
    feature.sweep(began);
    for _ in 0..30 {
        let mut call = feature.begin(&feature.decide(&get(None)));
        call.waits();
        call.began(200);
        call.ended(Some(200), Duration::from_millis(1), None, Timestamp(1));
    }
    let mut call = feature.begin(&feature.decide(&get(None)));
    call.waits();
    let old = || feature.live().tally.read().old.failing().hits;
    sweep(0);
    sweep(499);
    assert_eq!(old(), 0);
    assert!(!sweep(501), "it is not the new side");
    assert_eq!(old(), 1);
}

#[test]
fn an_answer_takes_as_long_as_its_beginning_however_slowly_its_client_reads() {
    let feature = at(plain(), "50%");
    let decision = feature.decide(&get(None));
    let mut call = feature.begin(&decision);
    call.waits();
    call.began(101);
    call.ended(Some(101), Duration::from_secs(3_600), None, Timestamp(1));
    let p99 = feature.live().tally.read().old.latency.quantile(0.99).expect("one is counted");
    assert!(p99 < 1.0, "{p99}");
}

#[test]
fn what_is_older_than_what_is_known_changes_nothing_and_a_changed_file_loses_nothing() {
    let feature = at(plain(), "50%");
    let decision = feature.decide(&get(None));
    feature.compared(&decision, Counted::Differs);
    let before = feature.state();
    feature.adopt(State { hold: Some(Hold::Killed), epoch: 3, ..before.clone() }, 1);
    // A look that has read the rows before the kill was written.
    assert!(!feature.adopt(before, 1));
    assert_eq!((feature.state().hold, feature.live().tally.read()), (Some(Hold::Killed), Counts::default()));
    // Whoever still holds the feature as it was before the file has changed.
    let changed = feature.with_options(plain(), Timestamp(0)).expect("good options");
    feature.adopt(State { hold: None, epoch: 4, ..feature.state() }, 2);
    assert_eq!((changed.state().hold, changed.state().epoch), (None, 4));
}

#[test]
fn windows_close_and_stay_counted() {
    let feature = at(plain(), "50%");
    let decision = feature.decide(&get(None));
    feature.compared(&decision, Counted::Differs);
    feature.turn(Timestamp(0).after(Duration::from_secs(59)));
    assert_eq!(feature.live().window, 0);
    feature.turn(Timestamp(0).after(Duration::from_secs(61)));
    let live = feature.live();
    assert_eq!((live.window, live.closed.differing.hits, live.tally.read().differing.hits), (1, 1, 0));
    feature.turn(Timestamp(0).after(Duration::from_secs(1 << 30)));
    feature.turn(Timestamp(0).after(Duration::from_secs(121)));
    assert_eq!(
        (feature.live().window, feature.compared_so_far()),
        (2, (1, 1)),
        "the clock was set right again"
    );
}

#[test]
fn who_still_asks_the_old_side_is_named() {
    let feature = at(plain(), "complete");
    let decision = feature.decide(&Asked { forced: Some(Side::Old), ..get(None) });
    feature.begin(&decision).ended(Some(200), Duration::from_millis(1), Some("batch-job"), Timestamp(7));
    let used = feature.used();
    assert_eq!(used.last_caller().map(|caller| caller.name.as_str()), Some("batch-job"));
    assert_eq!((used.last_old, used.new), (Some(Timestamp(7)), 0));
}

#[test]
fn options_read_as_they_are_written_and_refuse_the_rest() {
    let text = r#"{"old":"legacy","new":"orders","key":"header x-user","stages":["shadow","1%","100%","retire"],
        "rewrite":{"facade":"https://shop.example","old":{"hosts":["old.internal"],"cookies":{"same-site":"lax"}}},
        "login":{"old":{"cookie":"SID","whose":"legacy:/who","issue":"legacy:/in"},"new":{"whose":"orders:/who","issue":"orders:/in"}},
        "compare":{"sample":"20%","tolerance":{"$.total":0.01,"$.at":"2s","$.rate":"1%"},
        "noise":{"replay-old":"2%"}},"advance":{"parity":"99.9%","hold":"30m"},"on-breach":"freeze",
        "writes":{"authority":"old","shadow":"record"},"retire":{"after":"14d"},"due":"2027-03-31","owner":"team-shop"}"#;
    let options: FeatureOptions = serde_json::from_str(text).expect("it reads");
    let again = serde_json::to_string(&options).expect("it writes");
    assert_eq!(serde_json::from_str::<FeatureOptions>(&again).expect("it reads what it writes"), options);
    assert!(Feature::new("checkout", options, Timestamp(0)).is_ok());
    assert!(
        serde_json::from_str::<FeatureOptions>(r#"{"old":"a","new":"b","stage":"1%"}"#).is_err(),
        "an unknown key"
    );
}

#[test]
fn options_that_make_no_sense_are_refused_with_their_name() {
    let refused = |change: fn(&mut FeatureOptions)| {
        let mut options = plain();
        change(&mut options);
        Feature::new("checkout", options, Timestamp(0))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(refused(|options| options.advance.parity = Share::ALL).contains("advance.parity"));
    assert!(refused(|options| options.advance.p99 = 0.5).contains("advance.p99"));
    assert!(refused(|options| options.due = Some("soon".into())).contains("due"));
    let rewrite = |options: &mut FeatureOptions| {
        let (old, new) = Default::default();
        options.rewrite = Some(crate::RewriteOptions { facade: "shop.example".into(), old, new });
    };
    assert!(refused(rewrite).contains("rewrite.facade"));
    assert!(refused(|options| options.stages.clear()).contains("stages"));
    assert!(refused(|options| options.writes.shadow = ShadowWrites::Record).contains("authority"));
    assert!(Feature::new("a/b", plain(), Timestamp(0)).is_err());
}
