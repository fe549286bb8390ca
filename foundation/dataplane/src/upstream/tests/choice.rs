//! Who is chosen.

use super::*;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

fn policy(strategy: Strategy) -> ServicePolicy {
    ServicePolicy { strategy, ..ServicePolicy::default() }
}

#[test]
fn sd_m6_round_robin_takes_turns_by_weight() {
    let world = World::new(&["a:1", "b:1"], policy(Strategy::RoundRobin));
    assert_eq!(world.shares(100), BTreeMap::from([("a:1".into(), 50), ("b:1".into(), 50)]));
    let mut heavier = (*set(&["a:1", "b:1"])).clone();
    heavier.endpoints[0].weight = 3;
    world.registry.send_replace(Arc::new(heavier));
    assert_eq!(world.shares(100), BTreeMap::from([("a:1".into(), 75), ("b:1".into(), 25)]));
}

#[test]
fn sd_m6_least_request_prefers_the_idle_one_in_small_and_large_sets() {
    for count in [3, 40] {
        let world = World::of(count, policy(Strategy::LeastRequest));
        let held: Vec<Lease> = (0..count * 10).map(|_| world.pick()).collect();
        let loads: Vec<u32> = world.upstream.endpoints().iter().map(|endpoint| endpoint.in_flight).collect();
        assert!(loads.iter().all(|load| (5..=15).contains(load)), "{loads:?}");
        drop(held);
        assert!(world.upstream.endpoints().iter().all(|endpoint| endpoint.in_flight == 0));
        assert_eq!(world.upstream.view().in_flight, 0);
    }
}

#[test]
fn sd_m6_two_choices_keep_the_fullest_close_to_the_average() {
    // As many requests as endpoints: one random choice would pile up about ln n / ln ln n, two choices ln ln n.
    let world = World::of(1000, policy(Strategy::LeastRequest));
    let _held: Vec<Lease> = (0..1000).map(|_| world.pick()).collect();
    let fullest = world.upstream.endpoints().iter().map(|endpoint| endpoint.in_flight).max();
    assert!(fullest <= Some(4), "{fullest:?}");
}

#[test]
fn sd_m6_the_same_key_goes_to_the_same_endpoint_and_only_the_keys_of_a_lost_one_move() {
    let names = names(10);
    let world = World::new(&names, policy(Strategy::ConsistentHash));
    let owners = || (0..2000).map(|key| world.keyed(key).address().to_string()).collect::<Vec<_>>();
    let before = owners();
    assert_eq!(before, owners());
    // It is ejected; then it leaves; then it is back.
    let lost = names[4].as_str();
    let only_its_own_moved = |after: &[String]| {
        for (before, after) in before.iter().zip(after) {
            assert_eq!(before != after, before == lost, "{before} {after}");
        }
    };
    world.break_down(lost);
    let without = owners();
    only_its_own_moved(&without);
    let rest: Vec<_> = names.iter().filter(|name| *name != lost).collect();
    world.registry.send_replace(set(&rest));
    assert_eq!(without, owners());
    world.registry.send_replace(set(&names));
    world.clock.advance(SECOND * 60);
    assert_eq!(before, owners());
}

#[test]
fn sd_m6_a_popular_key_overflows_to_the_same_neighbours() {
    let world = World::of(10, policy(Strategy::ConsistentHash));
    let flood = || (0..40).map(|_| world.keyed(7)).collect::<Vec<_>>();
    let used = |held: &[Lease]| held.iter().map(|lease| lease.address().to_string()).collect::<Vec<_>>();
    let first = flood();
    let order = used(&first);
    drop(first);
    assert_eq!(used(&flood()), order);
    let most = order.iter().map(|one| order.iter().filter(|other| *other == one).count()).max();
    assert_eq!(most, Some(5), "125 % of 40 / 10");
}

#[test]
fn what_was_tried_is_avoided_while_there_is_a_choice() {
    for strategy in STRATEGIES {
        let world = World::of(6, policy(strategy));
        let mut avoid = Vec::new();
        for _ in 0..6 {
            let want = Want { avoid: &avoid, key: Some(3), ..world.want() };
            let id = world.upstream.pick(&want).unwrap().id();
            assert!(!avoid.contains(&id), "{strategy:?}");
            avoid.push(id);
        }
        let want = Want { avoid: &avoid, ..world.want() };
        assert!(world.upstream.pick(&want).is_ok(), "better one of them than none");
    }
}

#[test]
fn an_endpoint_that_is_new_or_back_warms_up() {
    for strategy in STRATEGIES {
        let slow_start = Some(SECOND * 10);
        let world = World::of(4, ServicePolicy { slow_start, ..policy(strategy) });
        let share_of = |address: &str| {
            let picks = 4000;
            let of = |lease: Lease| u32::from(&**lease.address() == address);
            let share: u32 = (0..picks).map(|_| of(world.keyed(world.ids.random()))).sum();
            f64::from(share) / f64::from(picks)
        };
        let ramps = |address: &str, fair: f64| {
            let mut last = 0.0;
            for (percent, seconds) in [(10, 0), (30, 3), (60, 3), (90, 3), (100, 1)] {
                world.clock.advance(SECOND * seconds);
                let view = world.upstream.endpoints();
                let shown = view.iter().find(|endpoint| endpoint.address == address).unwrap();
                assert_eq!(shown.share_percent, percent, "{strategy:?}");
                let share = share_of(address);
                assert!(
                    share < fair * f64::from(percent) / 100.0 * 1.5 + 0.02,
                    "{strategy:?} {percent} {share}"
                );
                assert!(share > last * 0.8, "{strategy:?} {percent}: {share} after {last}");
                last = share;
            }
            assert!((last / fair - 1.0).abs() < 0.35, "{strategy:?} {last}");
        };
        assert!(share_of(&names(1)[0]) > 0.15, "{strategy:?}: those of the first set are not new");
        world.registry.send_replace(set(&names(5)));
        ramps(&names(5)[4], 0.2);
        if strategy == Strategy::PeakEwma {
            continue; // its failures have made it slow, so that it gets less for longer
        }
        world.break_down(&names(5)[2]);
        world.clock.advance(world.upstream.policy().ejection.base);
        ramps(&names(5)[2], 0.2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever keys come and however long their requests last: nobody ever has more than the factor allows.
    #[test]
    fn sd_m6_bounded_load_never_exceeds_its_factor(
        count in 2usize..12, weights in prop::collection::vec(1u32..5, 12), percent in 101u32..300,
        steps in prop::collection::vec((0u64..6, any::<bool>()), 1..300),
    ) {
        let hash_load_max_percent = percent;
        let world =
            World::of(count, ServicePolicy { hash_load_max_percent, ..policy(Strategy::ConsistentHash) });
        let mut weighted = (*set(&names(count))).clone();
        for (endpoint, weight) in weighted.endpoints.iter_mut().zip(&weights) {
            endpoint.weight = *weight;
        }
        let all: u32 = weights[..count].iter().sum();
        world.registry.send_replace(Arc::new(weighted.clone()));
        let mut held: Vec<Lease> = Vec::new();
        for (key, ends) in steps {
            if ends && !held.is_empty() {
                held.swap_remove(key as usize % held.len());
                continue;
            }
            let lease = world.keyed(key);
            let chosen = weighted.endpoints.iter().find(|endpoint| endpoint.address == **lease.address()).unwrap();
            held.push(lease);
            let fair = held.len() as u64 * u64::from(percent) * u64::from(chosen.weight);
            let most = fair.div_ceil(100 * u64::from(all));
            let has = held.iter().filter(|lease| **lease.address() == *chosen.address).count() as u64;
            prop_assert!(has <= most, "{} of {}, and {} at most", has, held.len(), most);
        }
    }

    /// Whatever happens to the endpoints, every request gets one, unless probes say that all are ill.
    #[test]
    fn there_is_always_an_endpoint(
        count in 1usize..9, strategy in 0usize..4, steps in prop::collection::vec((0u8..4, 0usize..9), 1..200),
    ) {
        let ejection = Ejection { failures: 1, ..Ejection::default() };
        let world = World::of(count, ServicePolicy { ejection, ..policy(STRATEGIES[strategy]) });
        for (step, size) in steps {
            match step {
                0 => drop(world.registry.send_replace(set(&names(1 + size)))),
                1 => world.clock.advance(SECOND * size as u32),
                _ => {
                    let want = Want { key: Some(size as u64), ..world.want() };
                    let lease = world.upstream.pick(&want);
                    prop_assert!(lease.is_ok(), "{:?}", lease);
                    world.upstream.failed(&lease.unwrap());
                }
            }
        }
        prop_assert_eq!(world.upstream.view().in_flight, 0);
    }
}
