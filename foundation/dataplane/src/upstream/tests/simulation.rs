//! Minutes of traffic in an instant: seeded, and always the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::moment::{Moment, Monotonic};
use crate::resilience::{Attempt, Cause, Decision, LimitPolicy, Priority, RetryPolicy};

/// Requests under way, by when they end.
#[derive(Default)]
struct Under {
    ends: BinaryHeap<Reverse<(Moment, usize)>>,
    leases: Vec<Option<Lease>>,
}

impl Under {
    fn begin(&mut self, lease: Lease, end: Moment) {
        self.ends.push(Reverse((end, self.leases.len())));
        self.leases.push(Some(lease));
    }

    /// Settles all that end until now.
    fn settle(&mut self, world: &World) {
        while let Some(Reverse((end, at))) = self.ends.peek().copied()
            && end <= world.clock.now()
        {
            self.ends.pop();
            let lease = self.leases[at].take();
            lease.iter().for_each(|lease| world.upstream.succeeded(lease));
        }
    }
}

/// A request each millisecond for `seconds`, to endpoints of which the first takes `slow`, and the others ten
/// milliseconds. The share of the first.
fn share_of_the_slow(world: &World, slow: Duration, seconds: u32) -> f64 {
    let (mut under, mut to_slow) = (Under::default(), 0);
    let slow_one = names(1)[0].clone();
    for _ in 0..seconds * 1000 {
        world.clock.advance(SECOND / 1000);
        under.settle(world);
        let lease = world.pick();
        let is_slow = **lease.address() == *slow_one;
        to_slow += u32::from(is_slow);
        let takes = if is_slow { slow } else { SECOND / 100 };
        under.begin(lease, world.clock.now().after(takes));
    }
    world.clock.advance(slow);
    under.settle(world);
    f64::from(to_slow) / f64::from(seconds * 1000)
}

#[test]
fn sd_m6_a_slow_endpoint_gets_little_under_peak_ewma_and_its_share_back_when_it_recovers() {
    for count in [4, 10] {
        let fair = 1.0 / count as f64;
        let policy = |strategy| ServicePolicy { strategy, ..ServicePolicy::default() };
        let world = World::of(count, policy(Strategy::PeakEwma));
        let slow = share_of_the_slow(&world, SECOND / 5, 30);
        assert!(slow < fair / 20.0, "{count}: {slow}");
        let other = World::of(count, policy(Strategy::RoundRobin));
        assert!(share_of_the_slow(&other, SECOND / 5, 5) > fair * 0.9);
        share_of_the_slow(&world, SECOND / 100, 60);
        let recovered = share_of_the_slow(&world, SECOND / 100, 10);
        assert!((recovered / fair - 1.0).abs() < 0.5, "{count}: {recovered}");
    }
}

#[test]
fn an_endpoint_that_fails_at_once_does_not_attract_traffic_under_peak_ewma() {
    // Every ejection is off, so that only the latency decides.
    let ejection = Ejection { failures: u32::MAX, failure_percent: 0, ..Ejection::default() };
    let policy = ServicePolicy { strategy: Strategy::PeakEwma, ejection, ..ServicePolicy::default() };
    let world = World::of(4, policy);
    let (mut under, mut to_broken) = (Under::default(), 0);
    for _ in 0..10_000 {
        world.clock.advance(SECOND / 1000);
        under.settle(&world);
        let lease = world.pick();
        if **lease.address() == *names(1)[0] {
            to_broken += 1;
            world.upstream.failed(&lease);
        } else {
            under.begin(lease, world.clock.now().after(SECOND / 100));
        }
    }
    assert!(to_broken < 200, "{to_broken} of 10,000");
}

/// A thousand clients, each with a request in every second, against a service that fails for a minute. Attempts for each
/// request.
fn storm(policy: ServicePolicy) -> f64 {
    let world = World::of(5, policy);
    let (clients, seconds) = (1000u64, 60);
    let mut due: BinaryHeap<Reverse<(Moment, u32)>> = BinaryHeap::new();
    let start = world.clock.now();
    for client in 0..clients {
        due.extend(
            (0..seconds).map(|second| {
                Reverse((start.after(SECOND * second).after(Duration::from_millis(client)), 1))
            }),
        );
    }
    let mut attempts = 0u64;
    while let Some(Reverse((moment, number))) = due.pop() {
        world.clock.advance(moment.since(world.clock.now()));
        let lease = world.upstream.pick(&Want { attempt: number, ..world.want() }).unwrap();
        attempts += 1;
        world.upstream.failed(&lease);
        let attempt = Attempt {
            number,
            cause: Cause::Status(503),
            is_idempotent: true,
            is_replayable: true,
            left: Some(SECOND),
            retry_after: None,
            is_retried_elsewhere: false,
            random: world.ids.random(),
        };
        if let Decision::Retry { after } = world.upstream.retry(&attempt) {
            due.push(Reverse((moment.after(after), number + 1)));
        }
    }
    attempts as f64 / (clients * u64::from(seconds)) as f64
}

#[test]
fn a_storm_of_retries_from_a_thousand_clients_is_bounded_by_the_budget() {
    let policy = ServicePolicy { retry: RetryPolicy::default(), ..ServicePolicy::default() };
    let bounded = storm(policy.clone());
    // A fifth, and three in a second, which is three in a thousand here.
    assert!(bounded > 1.15 && bounded < 1.22, "{bounded}");
    // Without it, the attempts alone decide.
    let mut unbounded = policy;
    unbounded.budget.percent = 10_000;
    unbounded.retry = RetryPolicy { attempts_max: 4, ..RetryPolicy::default() };
    assert!(storm(unbounded) > 3.9);
}

/// A service that works on twenty requests at a time for ten milliseconds each; more of them wait for each other.
#[test]
fn three_times_the_load_that_a_service_can_take_is_shed_from_below() {
    let limit = Some(LimitPolicy::default());
    let world = World::of(3, ServicePolicy { limit, ..ServicePolicy::default() });
    let mut under = Under::default();
    let mut seen: BTreeMap<Priority, (u32, u32)> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    let (seconds, per_second) = (40, 6000);
    for at in 0..seconds * per_second {
        world.clock.advance(SECOND / per_second);
        under.settle(&world);
        let priority = match world.ids.random() % 10 {
            0 => Priority::Critical,
            1..=6 => Priority::Normal,
            _ => Priority::Background,
        };
        let picked = world.upstream.pick(&Want { priority, ..world.want() });
        let is_settled_in = at > 5 * per_second;
        if is_settled_in {
            let (asked, served) = seen.entry(priority).or_default();
            *asked += 1;
            *served += u32::from(picked.is_ok());
        }
        let Ok(lease) = picked else { continue };
        let busy = f64::from(world.upstream.shared.in_flight()).max(20.0) / 20.0;
        let noise = 0.9 + (world.ids.random() % 200) as f64 / 1000.0;
        let takes = (SECOND / 100).mul_f64(busy * noise);
        if is_settled_in {
            slowest = slowest.max(takes);
        }
        under.begin(lease, world.clock.now().after(takes));
    }
    let share = |priority| {
        let (asked, served) = seen[&priority];
        f64::from(served) / f64::from(asked)
    };
    let shares = [Priority::Background, Priority::Normal, Priority::Critical].map(share);
    let limit = world.upstream.view().limit;
    assert!(limit.is_some_and(|limit| (20..=60).contains(&limit)), "{limit:?}");
    assert!(slowest < SECOND / 20, "{slowest:?}");
    assert!(shares[2] > 0.99, "{shares:?}");
    assert!(shares[0] < 0.05, "{shares:?}");
    assert!(shares[1] > 0.2, "{shares:?}");
}
