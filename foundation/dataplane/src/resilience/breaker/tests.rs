use super::*;
use proptest::prelude::*;

const POLICY: BreakerPolicy = BreakerPolicy {
    window: Duration::from_secs(10),
    requests_min: 10,
    failure_percent: 50,
    open: Duration::from_secs(5),
    trials: 3,
};

/// A circuit that opened at the moment that is returned.
fn opened() -> (Breaker, Moment) {
    let (breaker, now) = (Breaker::default(), Moment(1));
    for _ in 0..5 {
        breaker.succeeded(None, now, &POLICY);
    }
    for failure in 1..=5 {
        assert_eq!(breaker.failed(None, now, &POLICY), failure == 5);
    }
    (breaker, now)
}

#[test]
fn it_opens_at_the_ratio_and_not_before_the_least_number() {
    let (breaker, now) = opened();
    assert_eq!(breaker.admit(now, &POLICY), Err(POLICY.open));
    assert_eq!(breaker.circuit(now), Circuit::Open);
    let few = Breaker::default();
    for _ in 0..9 {
        assert!(!few.failed(None, now, &POLICY));
    }
    assert_eq!(few.admit(now, &POLICY), Ok(None));
}

#[test]
fn half_open_lets_exactly_its_trials_through() {
    let (breaker, now) = opened();
    let later = now.after(POLICY.open);
    assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
    let admitted: Vec<_> = (0..100).filter_map(|_| breaker.admit(later, &POLICY).ok()).collect();
    assert_eq!(admitted.len(), 3);
    assert!(admitted.iter().all(Option::is_some));
    // Stragglers from before neither close it nor open it again.
    breaker.succeeded(None, later, &POLICY);
    breaker.failed(None, later, &POLICY);
    assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
    for trial in admitted {
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        breaker.succeeded(trial, later, &POLICY);
    }
    assert_eq!(breaker.circuit(later), Circuit::Closed);
    assert!(!breaker.failed(None, later, &POLICY), "what failed before is forgotten");
}

#[test]
fn half_open_lets_exactly_its_trials_through_also_from_many_threads() {
    let (breaker, now) = opened();
    let later = now.after(POLICY.open);
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    admitted.fetch_add(u64::from(breaker.admit(later, &POLICY).is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 3);
}

#[test]
fn one_failed_trial_opens_it_again() {
    let (breaker, now) = opened();
    let later = now.after(POLICY.open);
    let trials: Vec<_> = (0..3).map(|_| breaker.admit(later, &POLICY).unwrap()).collect();
    breaker.succeeded(trials[0], later, &POLICY);
    assert!(breaker.failed(trials[1], later, &POLICY));
    assert_eq!(breaker.admit(later, &POLICY), Err(POLICY.open));
    // The third belongs to a round that is over.
    let again = later.after(POLICY.open);
    let next = breaker.admit(again, &POLICY).unwrap();
    assert!(!breaker.failed(trials[2], again, &POLICY));
    assert_eq!(breaker.circuit(again), Circuit::HalfOpen);
    assert!(next.is_some() && next != trials[2]);
}

#[test]
fn a_trial_without_a_verdict_gives_its_place_back_and_one_that_hangs_loses_it() {
    let (breaker, now) = opened();
    let later = now.after(POLICY.open);
    let trials: Vec<_> = (0..3).map(|_| breaker.admit(later, &POLICY).unwrap().unwrap()).collect();
    assert!(breaker.admit(later, &POLICY).is_err());
    breaker.forgone(trials[0]);
    assert!(breaker.admit(later, &POLICY).is_ok());
    assert_eq!(breaker.admit(later.after(Duration::from_secs(2)), &POLICY), Err(Duration::from_secs(3)));
    let next_round = later.after(POLICY.open);
    let admitted = (0..100).filter(|_| breaker.admit(next_round, &POLICY).is_ok()).count();
    assert_eq!(admitted, 3);
}

proptest! {
    #[test]
    fn a_phase_is_read_as_it_was_written(round in 0..=ROUND_MASK, admitted in 0..=COUNT_MASK,
                                         succeeded in 0..=COUNT_MASK, until in 0u64..1 << 62) {
        for phase in [
            Phase::Closed,
            Phase::Open { until: Moment(until) },
            Phase::HalfOpen { round, admitted, succeeded },
        ] {
            prop_assert_eq!(Phase::read(phase.word()), phase);
        }
    }

    /// Whatever happens in whatever order: no round ever has more than its trials under way or done.
    #[test]
    fn no_round_has_more_than_its_trials(steps in prop::collection::vec((0u8..5, 0u64..3_000), 1..300)) {
        let (breaker, mut now) = opened();
        let mut under_way: Vec<Option<Trial>> = Vec::new();
        let mut rounds: std::collections::HashMap<u64, i64> = std::collections::HashMap::new();
        for (step, wait) in steps {
            now = now.after(Duration::from_millis(wait));
            match (step, under_way.pop()) {
                (1, Some(trial)) => breaker.succeeded(trial, now, &POLICY),
                (2, Some(trial)) => drop(breaker.failed(trial, now, &POLICY)),
                (3, Some(Some(trial))) => {
                    breaker.forgone(trial);
                    *rounds.entry(trial.0).or_default() -= 1;
                }
                (_, popped) => {
                    under_way.extend(popped);
                    if let Ok(admitted) = breaker.admit(now, &POLICY) {
                        if let Some(Trial(round)) = admitted {
                            *rounds.entry(round).or_default() += 1;
                        }
                        under_way.push(admitted);
                    }
                }
            }
            prop_assert!(rounds.values().all(|trials| *trials <= 3), "{:?}", rounds);
        }
    }
}
