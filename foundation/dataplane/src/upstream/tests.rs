use super::*;
use dozen_core::Endpoint;
use std::collections::BTreeMap;

fn set(version: u64, addresses: &[&str]) -> Arc<EndpointSet> {
    let endpoints = addresses.iter().map(|address| Endpoint::at(*address)).collect();
    Arc::new(EndpointSet { service: "orders".into(), version, endpoints })
}

fn upstreams(
    addresses: &[&str],
    strategy: Strategy,
    ejection: Ejection,
) -> (watch::Sender<Arc<EndpointSet>>, Arc<Upstream>) {
    let (sender, receiver) = watch::channel(set(1, addresses));
    let resolve: Resolve = Arc::new(move |name| (name == "orders").then(|| receiver.clone()));
    let upstreams = Upstreams::new(resolve, strategy, ejection);
    assert!(upstreams.get("stock").is_none());
    (sender, upstreams.get("orders").unwrap())
}

fn shares(upstream: &Upstream, picks: u64) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for at in 0..picks {
        let random = at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        *shares.entry(upstream.pick(random, &[]).unwrap().address().to_string()).or_default() += 1;
    }
    shares
}

#[test]
fn sd_m6_round_robin_takes_turns_by_weight() {
    let (sender, upstream) = upstreams(&["a:1", "b:1"], Strategy::RoundRobin, Ejection::default());
    assert_eq!(shares(&upstream, 100), BTreeMap::from([("a:1".into(), 50), ("b:1".into(), 50)]));
    let mut heavier = (*set(2, &["a:1", "b:1"])).clone();
    heavier.endpoints[0].weight = 3;
    sender.send_replace(Arc::new(heavier));
    assert_eq!(shares(&upstream, 100), BTreeMap::from([("a:1".into(), 75), ("b:1".into(), 25)]));
}

#[test]
fn sd_m6_least_request_prefers_the_idle_one_in_small_and_large_sets() {
    for count in [3, 40] {
        let names: Vec<String> = (0..count).map(|at| format!("10.0.0.{at}:1")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (_sender, upstream) = upstreams(&names, Strategy::LeastRequest, Ejection::default());
        let mut held = Vec::new();
        for at in 0..count * 10 {
            held.push(upstream.pick((at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), &[]).unwrap());
        }
        let loads: Vec<u32> = upstream.endpoints().iter().map(|endpoint| endpoint.in_flight).collect();
        assert!(loads.iter().all(|load| (5..=15).contains(load)), "{loads:?}");
        drop(held);
        assert!(upstream.endpoints().iter().all(|endpoint| endpoint.in_flight == 0));
    }
}

#[test]
fn a_failing_endpoint_is_ejected_but_never_more_than_half() {
    let ejection = Ejection { failures: 3, ..Ejection::default() };
    let (sender, upstream) = upstreams(&["a:1", "b:1", "c:1"], Strategy::LeastRequest, ejection);
    let fail_all = || {
        for at in 0..64u64 {
            upstream.failed(&upstream.pick(at, &[]).unwrap());
        }
    };
    fail_all();
    let ejected = || upstream.endpoints().iter().filter(|endpoint| endpoint.ejected).count();
    assert_eq!(ejected(), 1);
    assert_eq!(shares(&upstream, 60).len(), 2);
    // A change of the set, even away and back, clears nothing.
    sender.send_replace(set(2, &["d:1"]));
    assert_eq!(shares(&upstream, 10), BTreeMap::from([("d:1".into(), 10)]));
    sender.send_replace(set(3, &["a:1", "b:1", "c:1"]));
    assert_eq!(ejected(), 1);
    // Alone, it is better than nothing.
    drop(sender);
    assert_eq!(shares(&upstream, 60).len(), 2);
}

#[test]
fn an_ejection_ends_and_the_next_is_longer() {
    let state = EndpointState::new("a:1");
    let (base, cap) = (Duration::from_secs(10), Duration::from_secs(25));
    assert_eq!(state.eject(1_000, base, cap), base);
    assert!(state.is_ejected(|| 10_999) && !state.is_ejected(|| 11_000));
    assert_eq!(state.eject(11_000, base, cap), base * 2);
    assert_eq!(state.eject(31_000, base, cap), cap);
    state.succeeded();
    assert!(!state.is_ejected(|| 31_001) && state.is_spotless());
}

#[test]
fn none_healthy_is_none() {
    let (sender, upstream) = upstreams(&[], Strategy::LeastRequest, Ejection::default());
    assert!(upstream.pick(0, &[]).is_none());
    sender.send_replace(set(2, &["a:1"]));
    let lease = upstream.pick(0, &[]).unwrap();
    assert_eq!(&**upstream.pick(0, &[lease.id()]).unwrap().address(), "a:1");
}
