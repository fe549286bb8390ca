//! Who is left out, and what is refused.

use std::num::NonZeroU32;

use super::*;
use crate::resilience::{
    Attempt, BreakerPolicy, Cause, Circuit, Decision, GiveUp, HedgePolicy, LimitPolicy, Priority, RetryPolicy,
};

#[test]
fn every_refusal_says_why() {
    let none: [&str; 0] = [];
    let world = World::new(&none, ServicePolicy::default());
    assert_eq!(world.refusal(), Unavailable::NoneKnown);
    let mut ill = (*set(&["a:1"])).clone();
    ill.endpoints[0].healthy = false;
    world.registry.send_replace(Arc::new(ill));
    assert_eq!(world.refusal(), Unavailable::NoneHealthy);
    world.registry.send_replace(set(&["a:1"]));
    let lease = world.pick();
    let want = Want { avoid: &[lease.id()], ..world.want() };
    assert_eq!(&**world.upstream.pick(&want).unwrap().address(), "a:1");
    assert_eq!(world.upstream.view().totals.unavailable, 2);
    assert_eq!(Unavailable::Full.retry_after_seconds(), Some(1));
    assert_eq!(Unavailable::Open { retry_after: SECOND / 1000 }.retry_after_seconds(), Some(1));
    assert_eq!(Unavailable::Open { retry_after: SECOND * 5 / 2 }.retry_after_seconds(), Some(3));
}

#[test]
fn a_failing_endpoint_is_ejected_but_never_more_than_half() {
    let ejection = Ejection { failures: 3, ..Ejection::default() };
    let world = World::new(&["a:1", "b:1", "c:1"], ServicePolicy { ejection, ..ServicePolicy::default() });
    for _ in 0..64 {
        world.upstream.failed(&world.pick());
    }
    assert_eq!(world.ejected(), 1);
    assert_eq!(world.shares(60).len(), 2);
    // A change of the set, even away and back, clears nothing.
    world.registry.send_replace(set(&["d:1"]));
    assert_eq!(world.shares(10), BTreeMap::from([("d:1".into(), 10)]));
    world.registry.send_replace(set(&["a:1", "b:1", "c:1"]));
    assert_eq!(world.ejected(), 1);
    // Nobody writes sets any more: the last one is in use, and was read though its writer has gone.
    world.registry.send_replace(set(&["a:1", "b:1"]));
    drop(world.registry);
    assert_eq!(world.upstream.endpoints().len(), 2);
}

#[test]
fn when_more_than_half_is_ejected_all_are_used() {
    let world = World::of(4, ServicePolicy::default());
    let names = names(4);
    world.break_down(&names[0]);
    world.break_down(&names[1]);
    assert_eq!((world.ejected(), world.shares(100).len(), world.upstream.view().panic), (2, 2, false));
    // The set shrinks to the two that are ejected and one that is not.
    world.registry.send_replace(set(&names[..3]));
    assert_eq!((world.ejected(), world.shares(100).len(), world.upstream.view().panic), (2, 3, true));
    // Time passes, and with it the ejections.
    world.clock.advance(SECOND * 10);
    assert_eq!((world.ejected(), world.shares(100).len(), world.upstream.view().panic), (0, 3, false));
}

#[test]
fn a_late_answer_from_before_an_ejection_does_not_end_it() {
    let world = World::new(&["a:1", "b:1"], ServicePolicy::default());
    let early: Vec<Lease> = (0..2).map(|_| world.pick()).collect();
    world.clock.advance(SECOND);
    world.break_down("a:1");
    early.iter().for_each(|lease| world.upstream.succeeded(lease));
    assert_eq!(world.ejected(), 1);
}

#[test]
fn a_lease_is_settled_once_and_one_without_a_word_counts_for_nothing() {
    let ejection = Ejection { failures: 2, ..Ejection::default() };
    let world = World::new(&["a:1", "b:1"], ServicePolicy { ejection, ..ServicePolicy::default() });
    for _ in 0..20 {
        let lease = world.pick();
        world.upstream.succeeded(&lease);
        world.upstream.failed(&lease);
        world.upstream.failed(&lease);
        drop(world.pick());
    }
    assert_eq!(world.ejected(), 0);
}

#[test]
fn a_service_that_mostly_fails_is_left_alone_and_then_tried() {
    let breaker = Some(BreakerPolicy::default());
    let world = World::of(3, ServicePolicy { breaker, ..ServicePolicy::default() });
    for _ in 0..20 {
        world.upstream.failed(&world.pick());
    }
    assert_eq!(world.refusal(), Unavailable::Open { retry_after: SECOND * 5 });
    let view = world.upstream.view();
    assert_eq!((view.circuit, view.totals.circuit_opened, view.totals.open), (Circuit::Open, 1, 1));
    world.clock.advance(SECOND * 5);
    let trials: Vec<Lease> = (0..3).map(|_| world.pick()).collect();
    assert!(matches!(world.refusal(), Unavailable::Open { .. }));
    // A trial whose client went away is tried again by another.
    let mut trials = trials.into_iter();
    drop(trials.next());
    let again = world.pick();
    trials.chain([again]).for_each(|lease| world.upstream.succeeded(&lease));
    assert_eq!(world.upstream.view().circuit, Circuit::Closed);
    assert_eq!(world.upstream.view().in_flight, 0);
}

#[tokio::test]
async fn beyond_the_most_in_flight_some_wait_and_the_rest_is_refused_at_once() {
    let in_flight_max = NonZeroU32::new(2);
    let world = World::of(3, ServicePolicy { in_flight_max, pending_max: 1, ..ServicePolicy::default() });
    let (first, second) = (world.pick(), world.pick());
    assert_eq!(world.refusal(), Unavailable::Full);
    let (upstream, want) = (world.upstream.clone(), world.want());
    let waiting = tokio::spawn(async move { upstream.pick_or_wait(&want, SECOND * 10).await });
    while world.upstream.view().pending == 0 {
        tokio::task::yield_now().await;
    }
    let refused = world.upstream.pick_or_wait(&world.want(), SECOND * 10).await;
    assert_eq!(refused.unwrap_err(), Unavailable::Full, "one waits already");
    drop(first);
    let third = waiting.await.unwrap().unwrap();
    assert_eq!((world.upstream.view().in_flight, world.upstream.view().pending), (2, 0));
    let patience = Duration::from_millis(1);
    assert_eq!(world.upstream.pick_or_wait(&world.want(), patience).await.unwrap_err(), Unavailable::Full);
    drop((second, third));
    assert_eq!((world.upstream.view().in_flight, world.upstream.view().pending), (0, 0));
    assert_eq!(world.upstream.view().totals.full, 3);
}

#[test]
fn under_pressure_the_background_is_refused_before_the_critical() {
    let limit = Some(LimitPolicy { first: 10, ..LimitPolicy::default() });
    let world = World::of(3, ServicePolicy { limit, ..ServicePolicy::default() });
    let pick = |priority| world.upstream.pick(&Want { priority, ..world.want() });
    let held: Vec<_> = (0..5).map(|_| pick(Priority::Background).unwrap()).collect();
    assert_eq!(pick(Priority::Background).unwrap_err(), Unavailable::Shed);
    let more: Vec<_> = (0..5).map(|_| pick(Priority::Critical).unwrap()).collect();
    assert_eq!(pick(Priority::Critical).unwrap_err(), Unavailable::Shed);
    assert_eq!((world.upstream.view().limit, world.upstream.view().totals.shed), (Some(10), 2));
    drop((held, more));
}

#[test]
fn retries_and_hedges_are_paid_for_from_one_budget() {
    let hedge = Some(HedgePolicy::default());
    let retry = RetryPolicy::default();
    let world = World::of(3, ServicePolicy { hedge, retry, ..ServicePolicy::default() });
    assert_eq!(world.upstream.hedge_after(1, true, None), None, "nothing is known of its latency");
    for _ in 0..100 {
        let lease = world.pick();
        world.clock.advance(SECOND / 100);
        world.upstream.heard(&lease);
        world.clock.advance(SECOND);
        world.upstream.succeeded(&lease);
        world.clock.advance(SECOND / 5);
        if world.upstream.view().latency_us_p50.is_some() {
            break;
        }
        // All within a few seconds.
        drop(lease);
        for _ in 0..30 {
            let lease = world.pick();
            world.clock.advance(SECOND / 100);
            world.upstream.succeeded(&lease);
        }
    }
    let after = world.upstream.hedge_after(1, true, None).unwrap();
    assert!(after >= SECOND / 100 && after <= SECOND / 88, "{after:?}: up to the head, not to the end");
    assert_eq!(world.upstream.hedge_after(1, false, None), None);
    let attempt = Attempt {
        number: 1,
        cause: Cause::Status(503),
        is_idempotent: true,
        is_replayable: true,
        left: None,
        retry_after: None,
        is_retried_elsewhere: false,
        random: 1,
    };
    let left = world.upstream.view().retries_left;
    for at in 0..left {
        match at % 2 {
            0 => assert!(world.upstream.may_hedge()),
            _ => assert!(matches!(world.upstream.retry(&attempt), Decision::Retry { .. })),
        }
    }
    assert!(!world.upstream.may_hedge());
    assert_eq!(world.upstream.retry(&attempt), Decision::GiveUp(GiveUp::Budget));
    let totals = world.upstream.view().totals;
    assert_eq!((totals.hedges + totals.retries, totals.retries_refused), (left, 2));
}
