//! A service by a clock that stands still, and endpoints that are only names.

mod change;
mod choice;
mod cost;
mod refusal;
mod simulation;

use std::collections::BTreeMap;
use std::time::Duration;

use dozen_core::{Endpoint, Ids, SystemClock};

use super::*;
use crate::moment::ManualTime;

const SECOND: Duration = Duration::from_secs(1);

const STRATEGIES: [Strategy; 4] =
    [Strategy::LeastRequest, Strategy::PeakEwma, Strategy::RoundRobin, Strategy::ConsistentHash];

struct World {
    clock: Arc<ManualTime>,
    registry: watch::Sender<Arc<EndpointSet>>,
    upstreams: Upstreams,
    upstream: Arc<Upstream>,
    ids: Ids,
}

/// Addresses, the first of them always the same.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("10.0.{}.{}:80", at / 250, at % 250)).collect()
}

fn set(addresses: &[impl AsRef<str>]) -> Arc<EndpointSet> {
    let endpoints = addresses.iter().map(|address| Endpoint::at(address.as_ref())).collect();
    Arc::new(EndpointSet { service: "orders".into(), version: 1, endpoints })
}

impl World {
    fn new(addresses: &[impl AsRef<str>], policy: ServicePolicy) -> Self {
        policy.check().unwrap();
        let (registry, watching) = watch::channel(set(addresses));
        let resolve: Resolve = Arc::new(move |name| (name == "orders").then(|| watching.clone()));
        let clock = Arc::new(ManualTime::default());
        let upstreams = Upstreams::with_clock(resolve, policy, clock.clone());
        assert!(upstreams.get("stock").is_none());
        let upstream = upstreams.get("orders").unwrap();
        Self { clock, registry, upstreams, upstream, ids: Ids::new(Arc::new(SystemClock), 7) }
    }

    fn of(count: usize, policy: ServicePolicy) -> Self {
        Self::new(&names(count), policy)
    }

    fn want(&self) -> Want<'static> {
        Want::new(self.ids.random())
    }

    fn pick(&self) -> Lease {
        self.upstream.pick(&self.want()).unwrap()
    }

    fn keyed(&self, key: u64) -> Lease {
        self.upstream.pick(&Want { key: Some(key), ..self.want() }).unwrap()
    }

    fn refusal(&self) -> Unavailable {
        self.upstream.pick(&self.want()).unwrap_err()
    }

    /// How many of `picks` requests, one after the other, go where.
    fn shares(&self, picks: u32) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        for _ in 0..picks {
            *shares.entry(self.pick().address().to_string()).or_default() += 1;
        }
        shares
    }

    fn ejected(&self) -> usize {
        self.upstream.endpoints().iter().filter(|endpoint| endpoint.ejected).count()
    }

    /// As many requests to this endpoint fail as eject one.
    fn break_down(&self, address: &str) {
        let roster = self.upstream.roster();
        let others = roster.members.iter().filter(|member| *member.state.address != *address);
        let avoid: Vec<u64> = others.map(|member| member.state.id).collect();
        for _ in 0..roster.policy.ejection.failures {
            let lease = self.upstream.pick(&Want { avoid: &avoid, ..self.want() }).unwrap();
            assert_eq!(&**lease.address(), address);
            self.upstream.failed(&lease);
        }
    }
}

#[test]
fn a_policy_of_nothing_is_the_default_and_every_key_is_read_back() {
    let policy: ServicePolicy = serde_json::from_str("{}").unwrap();
    assert_eq!(policy, ServicePolicy::default());
    assert_eq!(policy.check(), Ok(()));
    let full = r#"{"balance":"peak-ewma","slow-start":"30s","probe":{"path":"/up","expect":[200,204]},
        "circuit":{"open":"2s"},"in-flight-max":100,"pending-max":10,"limit":{"max":200},"hedge":{"after":"p99"},
        "retry":{"on":["connect"]},"budget":{"percent":10},"endpoints-min":1,"keep-last":"5m"}"#;
    let policy: ServicePolicy = serde_json::from_str(full).unwrap();
    assert_eq!(policy.check(), Ok(()));
    assert_eq!(policy.slow_start, Some(SECOND * 30));
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<ServicePolicy>(&again).unwrap(), policy);
    assert!(serde_json::from_str::<ServicePolicy>(r#"{"slow_start":"30s"}"#).is_err());
}

#[test]
fn a_setting_that_cannot_work_is_named() {
    let check = |change: fn(&mut ServicePolicy), message: &str| {
        let mut policy = ServicePolicy::default();
        change(&mut policy);
        assert_eq!(policy.check().unwrap_err().to_string(), message);
    };
    check(|policy| policy.pending_max = 5, "`pending-max` needs `in-flight-max`: nothing waits otherwise");
    check(|policy| policy.retry.attempts_max = 0, "`retry.attempts-max` must be at least 1");
    check(
        |policy| policy.health = Some(HealthPolicy { path: "up".into(), ..HealthPolicy::default() }),
        "`probe.path` must begin with `/`",
    );
    check(|policy| policy.hash_load_max_percent = 100, "`hash-load-max-percent` must be more than 100");
}
