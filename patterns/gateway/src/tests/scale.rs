//! What many routes cost. Figures mean something only with optimisation, so this runs when it is asked for:
//! `cargo test --release -p dozen-gateway --lib -- --ignored --nocapture scale`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, SystemClock};

use super::asked;
use crate::asked::Asked;
use crate::snapshot::Snapshot;
use crate::{Destination, Found, Keeper, Options, RouteOptions, RouteTable};

/// Routes as large installations have them: hosts, names, prefixes, a condition here and there.
fn routes(count: usize) -> Vec<RouteOptions> {
    let route = |at: usize| {
        let path = match at % 4 {
            0 => format!("/api/v{}/tenant-{at}/orders/{{id}}/lines/{{line}}", at % 3),
            1 => format!("/api/v{}/tenant-{at}/stock", at % 3),
            2 => format!("/static/site-{at}/{{*rest}}"),
            _ => format!("/shops/{{shop}}/area-{at}/items/{{item}}"),
        };
        let mut route = RouteOptions::new(path, format!("service-{}", at % 200));
        route.matching.method = vec!["GET".into(), "POST".into()];
        if at.is_multiple_of(3) {
            route.matching.host = Some(format!("shop-{}.example", at % 100));
        }
        if at.is_multiple_of(10) {
            route.matching.headers.insert("x-tenant".into(), "*".into());
            route.to.push(Destination { service: "other".into(), weight: 1 });
        }
        route
    };
    (0..count).map(route).collect()
}

/// A request for each route that needs no header.
fn requests(count: usize) -> Vec<(String, String)> {
    let request = |at: usize| {
        let path = match at % 4 {
            0 => format!("/api/v{}/tenant-{at}/orders/4711/lines/12", at % 3),
            1 => format!("/api/v{}/tenant-{at}/stock", at % 3),
            2 => format!("/static/site-{at}/css/main.css"),
            _ => format!("/shops/berlin/area-{at}/items/0815"),
        };
        (format!("shop-{}.example:8080", at % 100), path)
    };
    // In an order that no cache can guess.
    (0..count).map(|at| (at * 7919) % count).filter(|at| at % 10 != 0).map(request).collect()
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// What this thread has had of a processor: a machine that is busy with something else does not count.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

#[test]
#[ignore = "a measurement: it means something with optimisation only"]
fn ten_thousand_routes_cost_a_microsecond_and_five_thousand_fifty_megabytes() {
    let before = resident_bytes();
    let options = Options { routes: routes(5_000), ..Options::default() };
    let start = processor_time();
    let keeper = Keeper::new(None, Ids::new(Arc::new(SystemClock), 1));
    let first = Snapshot::new(options.clone(), &keeper, None).unwrap();
    let compiled = processor_time() - start;
    let start = processor_time();
    let second = Snapshot::new(options, &keeper, Some(&first)).unwrap();
    first.retire(&second);
    let again = processor_time() - start;
    let bytes = resident_bytes().saturating_sub(before);
    println!("5,000 routes: {compiled:?}, again {again:?}, two of them in {} KiB", bytes / 1024);
    drop((first, second));

    let table = RouteTable::compile(&routes(10_000)).unwrap();
    let asked_for = requests(10_000);
    let round = || {
        let start = processor_time();
        for (host, path) in &asked_for {
            let found = table.find(&Asked { host, ..asked("GET", path) });
            assert!(matches!(black_box(found), Found::Route(_)), "{host}{path}");
        }
        (processor_time() - start) / u32::try_from(asked_for.len()).unwrap()
    };
    let mut rounds: Vec<Duration> = (0..21).map(|_| round()).collect();
    rounds.sort();
    println!("10,000 routes: {:?} for a look-up, {:?} in the slowest of 21 rounds", rounds[10], rounds[20]);
    assert!(rounds[10] <= Duration::from_micros(1), "{rounds:?}");
    assert!(compiled.max(again) <= Duration::from_millis(100), "{compiled:?} {again:?}");
    assert!(bytes <= 50 << 20, "{bytes}");
}
