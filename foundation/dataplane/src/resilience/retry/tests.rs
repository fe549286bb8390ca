use super::*;
use proptest::prelude::*;

/// An idempotent request whose first attempt was reset, with a second left.
const RESET: Attempt = Attempt {
    number: 1,
    cause: Cause::Reset,
    is_idempotent: true,
    is_replayable: true,
    left: Some(Duration::from_secs(1)),
    retry_after: None,
    is_retried_elsewhere: false,
    random: 12_345,
};

fn why(attempt: &Attempt) -> Option<GiveUp> {
    match RetryPolicy::default().decide(attempt, || true) {
        Decision::GiveUp(why) => Some(why),
        Decision::Retry { .. } => None,
    }
}

#[test]
fn each_reason_has_its_name() {
    let check = |attempt: Attempt, expected| assert_eq!(why(&attempt), expected, "{attempt:?}");
    check(RESET, None);
    check(Attempt { cause: Cause::Status(500), ..RESET }, Some(GiveUp::Cause));
    check(Attempt { is_idempotent: false, ..RESET }, Some(GiveUp::NotIdempotent));
    check(Attempt { is_replayable: false, ..RESET }, Some(GiveUp::NotReplayable));
    check(Attempt { number: 3, ..RESET }, Some(GiveUp::Attempts));
    check(Attempt { is_retried_elsewhere: true, ..RESET }, Some(GiveUp::Elsewhere));
    check(Attempt { left: Some(Duration::ZERO), ..RESET }, Some(GiveUp::Time));
    let busy = Attempt { cause: Cause::Status(503), ..RESET };
    check(Attempt { retry_after: Some(Duration::from_millis(900)), ..busy }, None);
    check(Attempt { retry_after: Some(Duration::from_secs(2)), ..busy }, Some(GiveUp::RetryAfter));
    // Nobody holds a request for minutes because a service asks for it.
    check(
        Attempt { retry_after: Some(Duration::from_secs(60)), left: None, ..busy },
        Some(GiveUp::RetryAfter),
    );
    check(Attempt { left: None, ..busy }, None);
}

#[test]
fn a_connection_that_was_not_opened_is_retried_at_once_whatever_was_asked() {
    let refused = Attempt {
        cause: Cause::Connect,
        is_idempotent: false,
        is_replayable: false,
        is_retried_elsewhere: true,
        ..RESET
    };
    let decision = RetryPolicy::default().decide(&refused, || true);
    assert_eq!(decision, Decision::Retry { after: Duration::ZERO });
}

#[test]
fn the_budget_is_asked_last_and_has_the_last_word() {
    let policy = RetryPolicy::default();
    assert_eq!(policy.decide(&RESET, || false), Decision::GiveUp(GiveUp::Budget));
    let asked = std::cell::Cell::new(false);
    policy.decide(&Attempt { is_idempotent: false, ..RESET }, || {
        asked.set(true);
        true
    });
    assert!(!asked.get());
}

#[test]
fn who_retries_says_so_in_both_directions() {
    assert!(!is_retried_elsewhere(None, None));
    assert!(is_retried_elsewhere(Some(b"1"), None));
    assert!(!is_retried_elsewhere(None, Some(b"1")));
    assert!(is_retried_elsewhere(None, Some(b" 2 ")));
    assert!(!is_retried_elsewhere(Some(b"many"), Some(b"")));
}

#[test]
fn a_policy_is_written_as_it_is_said() {
    let text = r#"{"attempts-max":2,"on":["connect",503,"504"],"backoff":"10ms"}"#;
    let policy: RetryPolicy = serde_json::from_str(text).unwrap();
    assert_eq!(policy.on, [Cause::Connect, Cause::Status(503), Cause::Status(504)]);
    assert_eq!((policy.attempts_max, policy.backoff), (2, Duration::from_millis(10)));
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<RetryPolicy>(&again).unwrap(), policy);
    let error = serde_json::from_str::<RetryPolicy>(r#"{"on":["reste"]}"#).unwrap_err().to_string();
    assert!(error.contains("`connect`, `reset`, `timeout`"), "{error}");
    assert!(serde_json::from_str::<RetryPolicy>(r#"{"on":[200]}"#).is_err());
}

proptest! {
    /// Whatever is asked: a retry is safe, within the attempts, and its wait within the time.
    #[test]
    fn a_retry_is_safe_and_in_time(
        number in 1u32..6, cause in 0u16..5, is_idempotent: bool, is_replayable: bool, elsewhere: bool,
        left in prop::option::of(0u64..2_000), retry_after in prop::option::of(0u64..3_000), random: u64,
    ) {
        let cause = match cause {
            0 => Cause::Connect,
            1 => Cause::Reset,
            2 => Cause::Timeout,
            more => Cause::Status(500 + more),
        };
        let millis = |value: Option<u64>| value.map(Duration::from_millis);
        let (left, retry_after) = (millis(left), millis(retry_after));
        let attempt = Attempt {
            number, cause, is_idempotent, is_replayable, left, retry_after,
            is_retried_elsewhere: elsewhere, random,
        };
        let policy = RetryPolicy::default();
        if let Decision::Retry { after } = policy.decide(&attempt, || true) {
            prop_assert!(cause == Cause::Connect || is_idempotent && is_replayable && !elsewhere);
            prop_assert!(number < policy.attempts_max && policy.on.contains(&cause));
            prop_assert!(left.is_none_or(|left| after < left));
            prop_assert!(retry_after.is_none_or(|asked| after >= asked));
            prop_assert!(left.is_some() || after <= policy.backoff_max);
        }
    }

    #[test]
    fn jitter_is_full_and_capped(number in 1u32..100, random: u64) {
        let (first, cap) = (Duration::from_millis(25), Duration::from_millis(250));
        prop_assert!(full_jitter(first, cap, number, random) <= cap);
        prop_assert!(full_jitter(first, cap, 1, random) <= first);
        prop_assert_eq!(full_jitter(first, cap, number, 0), Duration::ZERO);
        prop_assert_eq!(full_jitter(Duration::ZERO, cap, number, random), Duration::ZERO);
    }
}
