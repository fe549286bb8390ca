use super::*;
use crate::Share;

/// SplitMix64, so that every run of the tests sees the same chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is(&mut self, rate: f64) -> bool {
        self.next() < rate
    }
}

const RUNS: u64 = 2_000;
const LOOKS: u64 = 400;
const BETWEEN: u64 = 50;

/// Runs in which a gate that looks all the time comes to a verdict on parity, and the samples that it took.
fn simulate(rate: f64, options: &GateOptions) -> (u64, u64, f64) {
    let (mut passed, mut failed, mut took) = (0, 0, 0);
    for run in 0..RUNS {
        let mut chance = Chance(run.wrapping_mul(0xA076_1D64_78BD_642F) ^ (rate * 1e9) as u64);
        let mut evidence = Evidence::default();
        for look in 0..LOOKS {
            // Windows of twenty looks.
            if look / 20 != evidence.window {
                (evidence.window, evidence.recent) = (look / 20, Counts::default());
            }
            for _ in 0..BETWEEN {
                let hit = u64::from(chance.is(rate));
                for counts in [&mut evidence.whole, &mut evidence.recent] {
                    counts.differing.hits += hit;
                    counts.differing.trials += 1;
                }
            }
            let test = Test::new(options, &evidence);
            match test.is_rare(options.parity.rest().fraction(), |counts| counts.differing) {
                Verdict::Unknown => continue,
                Verdict::Pass => passed += 1,
                Verdict::Fail => failed += 1,
            }
            took += (look + 1) * BETWEEN;
            break;
        }
    }
    let took = took as f64 / (passed + failed).max(1) as f64;
    eprintln!(
        "rate {rate}: {passed} passed and {failed} failed of {RUNS}, after {took:.0} samples on average"
    );
    (passed, failed, took)
}

fn options() -> GateOptions {
    GateOptions { parity: Share::percent(99), samples: 200, ..GateOptions::default() }
}

#[test]
fn at_the_threshold_it_is_wrong_as_rarely_as_it_says_however_often_it_looks() {
    let (passed, failed, _) = simulate(0.01, &options());
    // Of 2000 runs with 400 looks each, one in twenty may be wrong in each direction.
    assert!(passed <= RUNS / 20, "{passed} of {RUNS} passed");
    assert!(failed <= RUNS / 20, "{failed} of {RUNS} failed");
}

#[test]
fn beyond_the_threshold_it_fails_and_below_it_passes() {
    let (passed, failed, took) = simulate(0.03, &options());
    assert!(passed == 0 && failed == RUNS, "{passed} {failed}");
    assert!(took < 2_000.0, "a rate of three times what is allowed is seen within {took} samples");
    let (passed, failed, _) = simulate(0.001, &options());
    assert!(failed <= RUNS / 20 && passed >= RUNS * 94 / 100, "{passed} {failed}");
    let (passed, failed, _) = simulate(0.02, &options());
    assert!(passed <= RUNS / 20 && failed >= RUNS * 90 / 100, "{passed} {failed}");
}

#[test]
fn an_ordinary_interval_would_be_wrong_far_more_often() {
    // Why all this: the usual 95 % interval, looked at in the same way.
    let mut wrong = 0;
    for run in 0..500u64 {
        let mut chance = Chance(run * 77 + 5);
        let (mut hits, mut trials) = (0.0_f64, 0.0_f64);
        for _ in 0..LOOKS {
            (0..BETWEEN).for_each(|_| {
                hits += f64::from(u8::from(chance.is(0.05)));
                trials += 1.0;
            });
            let seen = hits / trials;
            if trials >= 200.0 && (seen - 0.05).abs() > 1.96 * (0.05 * 0.95 / trials).sqrt() {
                wrong += 1;
                break;
            }
        }
    }
    assert!(wrong > 100, "{wrong} of 500");
}

fn answers(errors: u64, of: u64, millis: u64) -> Answers {
    let mut answers = Answers { asked: of, errors, ..Answers::default() };
    answers.latency.count(class_of(Duration::from_millis(millis)), of);
    answers
}

fn good(of: u64) -> Evidence {
    let whole = Counts {
        differing: Rate::new(0, of),
        old: answers(0, of, 10),
        new: answers(0, of, 10),
        ..Counts::default()
    };
    Evidence { recent: Counts::default(), whole, window: 3, lag: None }
}

fn verdict(evidence: &Evidence) -> Judgement {
    judge(&GateOptions::default(), Stage::Compare, evidence)
}

#[test]
fn enough_that_is_good_passes_and_too_little_holds() {
    assert_eq!(verdict(&good(10_000)).verdict, Verdict::Pass, "{}", verdict(&good(10_000)).reason());
    assert_eq!(verdict(&good(1_000)).verdict, Verdict::Unknown);
    assert_eq!(verdict(&Evidence::default()).verdict, Verdict::Unknown, "no traffic is no good news");
    let only_reads = Evidence { whole: Counts { old: Answers::default(), ..good(10_000).whole }, ..good(0) };
    assert_eq!(verdict(&only_reads).verdict, Verdict::Unknown, "nothing to compare errors and latency with");
}

#[test]
fn a_shadow_needs_no_comparison_and_a_comparison_needs_one() {
    let mut evidence = good(10_000);
    evidence.whole.differing = Rate::default();
    assert_eq!(judge(&GateOptions::default(), Stage::Shadow, &evidence).verdict, Verdict::Pass);
    assert_eq!(verdict(&evidence).verdict, Verdict::Unknown);
}

#[test]
fn a_side_that_fails_more_often_fails_the_gate() {
    let mut evidence = good(10_000);
    evidence.whole.new.errors = 100;
    assert_eq!(verdict(&evidence).verdict, Verdict::Fail);
    assert!(verdict(&evidence).reason().contains("failed 100 of 10000"), "{}", verdict(&evidence).reason());
    evidence.whole.old.errors = 95;
    assert_eq!(verdict(&evidence).verdict, Verdict::Pass, "the old side fails as often");
    evidence.whole.new.errors = 107;
    assert_eq!(verdict(&evidence).verdict, Verdict::Unknown, "a little more, and that may be chance");
}

#[test]
fn an_outage_is_believed_within_two_dozen_requests_also_with_nobody_to_compare_it_with() {
    let outage = |old: u64, new: u64| {
        let recent = Counts { old: answers(0, old, 10), new: answers(new, new, 10), ..Counts::default() };
        let mut whole = good(10_000).whole;
        whole.add(&recent);
        judge(&GateOptions::default(), Stage::Complete, &Evidence { recent, whole, window: 30, lag: None })
    };
    assert_eq!(outage(24, 24).verdict, Verdict::Fail, "{}", outage(24, 24).reason());
    assert_eq!(outage(0, 12).verdict, Verdict::Fail, "{}", outage(0, 12).reason());
    assert_ne!(outage(0, 9).verdict, Verdict::Fail, "a few are chance");
    let both = Counts { old: answers(12, 12, 10), new: answers(12, 12, 10), ..Counts::default() };
    let evidence = Evidence { recent: both.clone(), whole: both, window: 0, lag: None };
    assert_ne!(verdict(&evidence).verdict, Verdict::Fail, "who fails like the old side is not worse");
}

#[test]
fn a_side_that_is_slower_fails_the_gate() {
    let mut evidence = good(10_000);
    evidence.whole.new.latency.count(class_of(Duration::from_millis(50)), 400);
    assert_eq!(verdict(&evidence).verdict, Verdict::Fail, "4 % beyond, and 1 % is allowed");
    let mut evidence = good(10_000);
    evidence.whole.new.latency.count(class_of(Duration::from_millis(50)), 50);
    assert_eq!(verdict(&evidence).verdict, Verdict::Pass, "the slowest half of a hundredth may be slow");
}

#[test]
fn a_sudden_break_is_seen_in_its_window_long_before_the_whole() {
    let mut evidence = good(1_000_000);
    evidence.recent = Counts { differing: Rate::new(12, 12), ..Counts::default() };
    evidence.whole.differing = Rate::new(12, 1_000_012);
    assert_eq!(verdict(&evidence).verdict, Verdict::Fail);
}

#[test]
fn writes_that_are_behind_hold_and_writes_that_differ_fail() {
    let mut evidence = good(10_000);
    evidence.whole.unreconciled = Rate::new(0, 10_000);
    evidence.lag = Some(Some(Duration::from_secs(1)));
    assert_eq!(verdict(&evidence).verdict, Verdict::Pass);
    evidence.lag = Some(Some(Duration::from_secs(3_600)));
    assert_eq!(verdict(&evidence).verdict, Verdict::Unknown);
    evidence.lag = Some(None);
    assert_eq!(verdict(&evidence).verdict, Verdict::Unknown, "nobody knows");
    evidence.whole.unreconciled = Rate::default();
    evidence.whole.unread = 10_000;
    assert_eq!(verdict(&evidence).verdict, Verdict::Unknown, "what nobody could read proves nothing");
    assert!(verdict(&evidence).reason().contains("10000 more could not be read"), "and is told");
    evidence.whole.unreconciled = Rate::new(100, 10_000);
    assert_eq!(verdict(&evidence).verdict, Verdict::Fail);
}

#[test]
fn counts_of_gateways_add_up() {
    let mut counts = good(10).whole;
    counts.add(&good(5).whole);
    assert_eq!((counts.differing, counts.new.failing().trials), (Rate::new(0, 15), 15));
    let text = serde_json::to_string(&counts).expect("it is JSON");
    assert_eq!(serde_json::from_str::<Counts>(&text).expect("it reads what it writes"), counts);
}
