//! What many routes cost: room, time to take them over, and time to find one.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use dozen_core::{Ids, SystemClock};
use dozen_gateway::{Destination, Found, Gateway, Options, RequestLog, RouteOptions, RouteTable};
use serde::{Deserialize, Serialize};

use super::{PROXY_CORE, part};
use crate::bar::{Figure, Measured, Target, median};
use crate::process::{resident_kib, time_of_this_thread};
use crate::{Context, Failure};

/// Routes that are taken over, and routes of which one is looked for.
const APPLIED: usize = 5_000;
const LOOKED_FOR: usize = 10_000;
/// Megabytes, milliseconds and microseconds.
const TARGETS: [f64; 3] = [50.0, 100.0, 1.0];

/// What a process of its own has found out.
#[derive(Serialize, Deserialize)]
pub(super) struct Cost {
    /// Resident in all, after the routes were taken over twice.
    megabytes: f64,
    /// The longer one of taking them over for the first time and once more.
    apply_ms: f64,
    look_up_us: f64,
}

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let mut found: [Vec<f64>; 3] = Default::default();
    for round in 0..context.rounds {
        let output = part::on(PROXY_CORE, "routes")?.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        let Cost { megabytes, apply_ms, look_up_us } = serde_json::from_slice(&output.stdout)?;
        eprintln!(
            "  round {} of {}: {megabytes:.1} MB, {apply_ms:.1} ms; {look_up_us:.3} µs",
            round + 1,
            context.rounds
        );
        found.iter_mut().zip([megabytes, apply_ms, look_up_us]).for_each(|(all, one)| all.push(one));
    }
    let named = [
        (
            "memory",
            "MB",
            format!("{APPLIED} routes taken over twice by a gateway: resident memory of the whole process"),
        ),
        (
            "apply",
            "ms",
            format!("{APPLIED} routes taken over by a gateway, the longer of the first time and the second"),
        ),
        ("look-up", "µs", format!("one of {LOOKED_FOR} routes, in an order that no cache can guess")),
    ];
    let figures =
        named.into_iter().zip(found).zip(TARGETS).map(|(((name, unit, note), found), target)| Figure {
            name: format!("edge.routes.{name}"),
            measured: median(found),
            unit: unit.into(),
            target: Target::AtMost(target),
            note,
        });
    Ok(Measured::of(figures.collect()))
}

/// Measures in this process.
pub(super) fn cost() -> Result<Cost, Failure> {
    let with = |routes| Options {
        listen: ([127, 0, 0, 1], 0).into(),
        workers: NonZeroUsize::new(1),
        routes,
        ..Options::default()
    };
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let nobody = Arc::new(|_: &str| None);
    let gateway = Gateway::new(with(routes(1)), nobody, ids, Arc::new(RequestLog::default()))?;
    let mut apply_ms: f64 = 0.0;
    for _ in 0..2 {
        let many = with(routes(APPLIED));
        let start = Instant::now();
        gateway.apply(&many)?;
        apply_ms = apply_ms.max(start.elapsed().as_secs_f64() * 1e3);
    }
    let megabytes = resident_kib(std::process::id())? / 1024.0;
    drop(gateway);
    Ok(Cost { megabytes, apply_ms, look_up_us: look_up()? })
}

fn look_up() -> Result<f64, Failure> {
    let table = RouteTable::compile(&routes(LOOKED_FOR))?;
    let requests = requests(LOOKED_FOR);
    let mut rounds = Vec::new();
    for _ in 0..21 {
        let start = time_of_this_thread();
        for (host, path) in &requests {
            if !matches!(black_box(table.look_up("GET", host, path)), Found::Route(_)) {
                return Err(format!("no route for {host}{path}").into());
            }
        }
        rounds.push((time_of_this_thread() - start).as_secs_f64() * 1e6 / requests.len() as f64);
    }
    Ok(median(rounds))
}

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

/// Host and path of a request for each route that needs no header, in an order that no cache can guess.
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
    (0..count).map(|at| (at * 7919) % count).filter(|at| at % 10 != 0).map(request).collect()
}
