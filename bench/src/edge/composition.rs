//! One answer from three services, beside the slowest of them alone.

use std::fs;

use serde_json::json;

use super::load::in_turns;
use super::{dozen, slow};
use crate::bar::{Figure, Measured, Target, median};
use crate::open::Load;
use crate::{Context, Failure};

/// What the calls take, in microseconds: the slowest is the last.
const CALLS: [(&str, u32); 3] = [("order", 1_000), ("stock", 1_000), ("price", 2_000)];
const RATE: f64 = 500.0;
const CONNECTIONS: usize = 16;
const SECONDS: f64 = 3.0;
/// Microseconds above the slowest call.
const TARGET: f64 = 200.0;

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let answers = folder.path().join("answers");
    fs::create_dir(&answers)?;
    let mut calls = serde_json::Map::new();
    for (name, micros) in CALLS {
        let answer = json!({ "id": 7, "name": name, "lines": [{ "sku": "A7", "count": 2 }], "total": 12.30 });
        fs::write(answers.join(name), answer.to_string())?;
        calls.insert(name.into(), json!({ "get": format!("origin:/{micros}/{name}") }));
    }
    calls.insert("reply".into(), json!({ "$": "order", "available": "stock.lines", "price": "price.total" }));
    let (_origin, direct) = slow::start(&answers)?;
    let gateway = json!({ "routes": [{ "match": { "path": "/composed" }, "compose": calls }] });
    let (_gateway, composed) = dozen::start(&folder.path().join("gateway"), gateway, direct)?;
    let (slowest, micros) = CALLS[CALLS.len() - 1];
    let load = |at, path| Load { at, path, connections: CONNECTIONS, rate: RATE, seconds: SECONDS };
    let (all, one) = (load(composed, "/composed".into()), load(direct, format!("/{micros}/{slowest}")));
    let (mut p50, mut p99, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..context.rounds {
        let (all, one) = in_turns(round, &all, &one)?;
        eprintln!(
            "  round {} of {}: p50 {:.0} µs, p99 {:.0} µs; the slowest alone {:.0} and {:.0}",
            round + 1,
            context.rounds,
            all.p50,
            all.p99,
            one.p50,
            one.p99
        );
        p50.push(all.p50 - one.p50);
        p99.push(all.p99 - one.p99);
        bare.push(one.p50);
    }
    let how = format!(
        "three calls at the same time, of 1, 1 and 2 ms, above the slowest alone, which takes {:.0} µs; {RATE:.0} requests a second",
        median(bare)
    );
    let figure = |name: &str, added, target| Figure {
        name: format!("edge.composition.{name}"),
        measured: median(added),
        unit: "µs".into(),
        target,
        note: how.clone(),
    };
    Ok(Measured::of(vec![figure("p50", p50, Target::AtMost(TARGET)), figure("p99", p99, Target::None)]))
}
