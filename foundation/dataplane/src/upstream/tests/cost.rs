//! What a choice costs.

use std::time::Instant;

use super::*;
use crate::resilience::{BreakerPolicy, LimitPolicy};

/// A pick, its verdict and its end, in the best of some rounds, so that a busy machine does not fail the test. This is
/// without optimisation: the bound only notices what grows with the set, a lock that is waited for, or a system call.
/// Optimised, all of it takes a fraction of a microsecond.
#[test]
fn a_choice_takes_microseconds_at_most_whatever_the_size_of_the_set() {
    for count in [3, 100, 2000] {
        for strategy in STRATEGIES {
            let (breaker, limit) = (Some(BreakerPolicy::default()), Some(LimitPolicy::default()));
            let slow_start = Some(SECOND * 30);
            let policy = ServicePolicy { strategy, breaker, limit, slow_start, ..ServicePolicy::default() };
            let (_registry, watching) = watch::channel(set(&names(count)));
            let resolve: Resolve = Arc::new(move |_| Some(watching.clone()));
            let upstream = Upstreams::new(resolve, policy).get("orders").unwrap();
            let ids = Ids::new(Arc::new(SystemClock), 7);
            let (picks, rounds) = (2000, 10);
            let round = || {
                let began = Instant::now();
                for _ in 0..picks {
                    let random = ids.random();
                    let lease = upstream.pick(&Want { key: Some(random), ..Want::new(random) }).unwrap();
                    upstream.succeeded(&lease);
                }
                began.elapsed() / picks
            };
            let best = (0..rounds).map(|_| round()).min().unwrap_or_default();
            println!("{count} endpoints, {strategy:?}: {best:?}");
            assert!(best < Duration::from_micros(30), "{count} endpoints, {strategy:?}: {best:?}");
        }
    }
}
