use super::*;
use What::*;
use dozen_store::Failure;

const NOW: Timestamp = Timestamp(1_000);

fn failure(error: &&str) -> Failure {
    Failure { claimed: Some(Timestamp(3)), at: Timestamp(4), error: (*error).to_owned() }
}

fn check(state: ClaimState, attempts: u32, errors: &[&str], expected: &[What]) -> Vec<Step> {
    let claim = ClaimStatus {
        position: 1,
        state,
        attempts,
        due: Some(Timestamp(2_000)),
        claimed: Some(Timestamp(10)),
        ended: Some(Timestamp(20)),
        key: Some("k".into()),
        errors: errors.iter().map(failure).collect(),
        edited: false,
    };
    let steps = steps(&claim, NOW);
    assert_eq!(steps.iter().map(|step| step.what).collect::<Vec<_>>(), expected, "{steps:?}");
    steps
}

#[test]
fn each_state_tells_its_story() {
    check(ClaimState::Leased, 1, &[], &[HandedOut, InHand]);
    check(ClaimState::Done, 1, &[], &[HandedOut, Acknowledged]);
    let retried = check(ClaimState::Done, 2, &["no"], &[HandedOut, Failed, HandedOut, Acknowledged]);
    assert_eq!(
        (retried[0].at, retried[2].at, retried[3].at),
        (Some(Timestamp(3)), Some(Timestamp(10)), Some(Timestamp(20)))
    );
    assert_eq!(retried[2].title, "retried: handed out again, attempt 2");
    let waiting = check(ClaimState::Waiting, 1, &["no"], &[HandedOut, Failed, Due]);
    assert_eq!((waiting[0].at, waiting[2].at), (Some(Timestamp(3)), Some(Timestamp(2_000))));
    check(ClaimState::Waiting, 0, &[], &[Due]);
    check(ClaimState::Held, 0, &[], &[Held]);
    check(ClaimState::Parked, 2, &["a", "b"], &[HandedOut, Failed, HandedOut, Parked]);
    check(ClaimState::Dropped, 1, &["unwanted"], &[HandedOut, Dropped]);
}

#[test]
fn a_redriven_message_counts_anew() {
    check(
        ClaimState::Done,
        1,
        &["a", "b"],
        &[HandedOut, Failed, HandedOut, Parked, Redriven, HandedOut, Acknowledged],
    );
    check(ClaimState::Waiting, 0, &["a"], &[HandedOut, Parked, Redriven, Due]);
    check(ClaimState::Dropped, 0, &["a"], &[HandedOut, Parked, Dropped]);
}

#[test]
fn a_full_history_says_what_is_missing() {
    let errors = ["no"; Settle::ERRORS_MAX];
    let steps = {
        let claim = ClaimStatus {
            position: 1,
            state: ClaimState::Parked,
            attempts: 20,
            due: None,
            claimed: None,
            ended: None,
            key: None,
            errors: errors.iter().map(failure).collect(),
            edited: false,
        };
        steps(&claim, NOW)
    };
    assert!(steps.iter().any(|step| step.title == "4 more attempts failed"), "{steps:?}");
    assert!(steps.iter().any(|step| step.title.ends_with("attempt 20")), "{steps:?}");
}
