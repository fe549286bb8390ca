//! What a change of the set or of the policy keeps.

use super::*;
use crate::resilience::{BreakerPolicy, Circuit, LimitPolicy};

#[test]
fn a_change_of_the_policy_loses_nothing_that_is_known() {
    let world = World::of(4, ServicePolicy::default());
    let names = names(4);
    world.break_down(&names[0]);
    let held: Vec<Lease> = (0..6).map(|_| world.pick()).collect();
    let before = world.upstream.view();
    let other = ServicePolicy { strategy: Strategy::PeakEwma, ..ServicePolicy::default() };
    world.upstreams.configure("orders", other.clone());
    let after = world.upstream.view();
    assert_eq!((before.strategy, after.strategy), (Strategy::LeastRequest, Strategy::PeakEwma));
    assert_eq!(ServiceView { strategy: before.strategy, ..after }, before);
    drop(held);
    assert_eq!(world.upstream.view().in_flight, 0);
    // Without a policy of its own it is called as all are.
    let usual = ServicePolicy { endpoints_min: 3, ..ServicePolicy::default() };
    world.upstreams.configure_all(usual.clone(), BTreeMap::from([("stock".into(), other)]));
    assert_eq!(*world.upstream.policy(), usual);
}

#[test]
fn a_registry_that_forgets_everybody_is_not_believed_for_a_while() {
    let (endpoints_min, keep_last) = (2, SECOND * 60);
    let world = World::of(3, ServicePolicy { endpoints_min, keep_last, ..ServicePolicy::default() });
    assert_eq!(world.upstream.view().kept_ms, None);
    let none: [&str; 0] = [];
    for short in [&none[..], &["x:1"], &none[..]] {
        world.registry.send_replace(set(short));
        assert_eq!(world.shares(100).len(), 3);
    }
    world.clock.advance(SECOND * 59);
    assert_eq!(world.shares(100).len(), 3);
    assert_eq!((world.upstream.view().kept_ms, world.upstream.endpoints().len()), (Some(1000), 3));
    // It comes back with fewer than before, and enough.
    world.registry.send_replace(set(&names(2)));
    assert_eq!((world.upstream.view().kept_ms, world.shares(100).len()), (None, 2));
    // This time it means it.
    world.registry.send_replace(set(&none));
    assert_eq!(world.shares(10).len(), 2);
    world.clock.advance(keep_last);
    assert_eq!(world.refusal(), Unavailable::NoneKnown);
    assert_eq!(world.upstream.view().kept_ms, None);
}

#[test]
fn an_empty_set_is_believed_without_the_guard() {
    let world = World::of(3, ServicePolicy::default());
    let none: [&str; 0] = [];
    world.registry.send_replace(set(&none));
    assert_eq!(world.refusal(), Unavailable::NoneKnown);
}

#[test]
fn what_probes_say_is_believed_even_of_all_and_forgotten_with_them() {
    let health = Some(HealthPolicy { unhealthy_after: 2, healthy_after: 2, ..HealthPolicy::default() });
    let world = World::of(2, ServicePolicy { health, ..ServicePolicy::default() });
    let states: Vec<_> = world.upstream.roster().members.iter().map(|member| member.state.clone()).collect();
    let probe = |at: usize, is_good: bool, times: u32| {
        (0..times).for_each(|_| world.upstream.probed(&states[at], is_good));
    };
    probe(0, false, 1);
    assert_eq!(world.shares(50).len(), 2);
    probe(0, false, 1);
    assert_eq!(world.shares(50), BTreeMap::from([(names(2)[1].clone(), 50)]));
    probe(1, false, 2);
    assert_eq!(world.refusal(), Unavailable::NoneHealthy);
    assert_eq!(world.upstream.view().totals.probes_failed, 4);
    probe(1, true, 2);
    assert_eq!(world.shares(50).len(), 1);
    assert_eq!(world.upstream.endpoints()[0].probed, Health::Unhealthy);
    // Without probes there is nobody left to say so.
    world.upstreams.configure("orders", ServicePolicy::default());
    assert_eq!(world.shares(50).len(), 2);
}

#[test]
fn good_probes_end_an_ejection_and_the_next_failure_begins_another() {
    let health = Some(HealthPolicy::default());
    let world = World::of(2, ServicePolicy { health, ..ServicePolicy::default() });
    let broken = names(2)[0].clone();
    world.break_down(&broken);
    assert_eq!(world.ejected(), 1);
    let roster = world.upstream.roster();
    world.clock.advance(SECOND);
    (0..2).for_each(|_| world.upstream.probed(&roster.members[0].state, true));
    assert_eq!(world.ejected(), 0);
    let lease = std::iter::repeat_with(|| world.pick()).take(100).find(|lease| **lease.address() == *broken);
    world.upstream.failed(&lease.unwrap());
    assert_eq!(world.ejected(), 1);
    assert_eq!(world.upstream.endpoints()[0].ejections, 2);
}

#[test]
fn requests_on_many_threads_while_everything_changes_leave_nothing_behind() {
    let in_flight_max = std::num::NonZeroU32::new(6);
    let policies = STRATEGIES.map(|strategy| ServicePolicy {
        strategy,
        in_flight_max,
        breaker: Some(BreakerPolicy { open: SECOND / 100, ..BreakerPolicy::default() }),
        limit: Some(LimitPolicy::default()),
        slow_start: Some(SECOND),
        ..ServicePolicy::default()
    });
    let world = World::of(5, policies[0].clone());
    let (workers, rounds) = (4, 3000);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut held = Vec::new();
                for at in 0..rounds {
                    let random = world.ids.random();
                    let want = Want { key: Some(random % 50), ..Want::new(random) };
                    held.extend(world.upstream.pick(&want));
                    match held.pop() {
                        Some(lease) if at % 3 == 0 => world.upstream.failed(&lease),
                        Some(lease) if at % 3 == 1 => world.upstream.succeeded(&lease),
                        dropped => drop(dropped),
                    }
                    if at % 7 == 0 {
                        held.extend(world.upstream.pick(&want));
                    }
                }
            });
        }
        for at in 0..200usize {
            world.clock.advance(SECOND / 50);
            world.registry.send_replace(set(&names(at % 8)));
            world.upstreams.configure("orders", policies[at % 4].clone());
            let view = world.upstream.view();
            // A pick that is refused is counted in for a moment.
            assert!(view.in_flight <= 6 + workers, "{view:?}");
        }
    });
    world.registry.send_replace(set(&names(5)));
    world.clock.advance(SECOND * 600);
    let view = world.upstream.view();
    assert_eq!((view.in_flight, view.pending), (0, 0));
    assert_eq!(view.endpoints.iter().map(|endpoint| endpoint.in_flight).sum::<u32>(), 0);
    // Whatever round the circuit was in: a few that succeed close it.
    (0..6).for_each(|_| world.upstream.succeeded(&world.pick()));
    assert_eq!(world.upstream.view().circuit, Circuit::Closed);
}

#[test]
fn who_has_a_service_that_is_parted_with_ends_with_what_it_was() {
    let world = World::of(3, ServicePolicy::default());
    let other = ServicePolicy { strategy: Strategy::RoundRobin, ..ServicePolicy::default() };
    let usual = (ServicePolicy::default(), BTreeMap::from([("orders".to_owned(), other)]));
    world.upstreams.exchange(usual, BTreeMap::new(), &["orders".into(), "nobody".into()], || {
        world.registry.send_replace(set(&["x:1"]));
    });
    assert_eq!(world.shares(300).len(), 3, "it follows a registry that speaks of another");
    assert_eq!(world.upstream.policy().strategy, Strategy::LeastRequest);
    let next = world.upstreams.get("orders").unwrap();
    assert!(!Arc::ptr_eq(&next, &world.upstream));
    assert_eq!(next.policy().strategy, Strategy::RoundRobin);
    assert_eq!(&**next.pick(&world.want()).unwrap().address(), "x:1");
    // Nobody is there any more; who has begun still ends.
    let none: [&str; 0] = [];
    world.upstreams.exchange(
        (ServicePolicy::default(), BTreeMap::new()),
        BTreeMap::new(),
        &["orders".into()],
        || {
            world.registry.send_replace(set(&none));
        },
    );
    assert_eq!(&**next.pick(&world.want()).unwrap().address(), "x:1");
    assert!(world.upstreams.get("orders").unwrap().pick(&world.want()).is_err());
}
