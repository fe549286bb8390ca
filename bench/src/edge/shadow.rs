//! What those whom a client waits for notice of one who only watches.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::dozen::{self, Up};
use super::load::in_turns;
use super::{Running, documents, slow};
use crate::bar::{Figure, Measured, Target, median};
use crate::open::Load;
use crate::{Context, Failure};

/// How long both systems take, in microseconds.
const ANSWERS_AFTER: u32 = 2_000;
const RATE: f64 = 500.0;
const CONNECTIONS: usize = 16;
const SECONDS: f64 = 4.0;
/// Per cent.
const TARGET: f64 = 5.0;
const FEATURE: &str = "orders";
/// Copies that were sent, as the metrics have it.
const COPIES: &str = "dozen_feature_shadow_sent_total";
/// How long a gateway may take to hear of a stage, and how long it may take to copy something at all.
const HEARD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    // Both systems are one program that says the same in other words: it is asked under the same path.
    let origin = |name: &str, document: String| -> Result<(Running, SocketAddr), Failure> {
        let answers = folder.path().join(name);
        fs::create_dir(&answers)?;
        fs::write(answers.join("order"), document)?;
        slow::start(&answers)
    };
    let (_old, old) = origin("old", documents::old())?;
    let (_new, new) = origin("new", documents::new())?;
    let watched = fronted(&folder.path().join("watched"), old, new)?;
    let alone = fronted(&folder.path().join("alone"), old, new)?;
    until_watched(&watched)?;
    alone.command(&["feature", "to", FEATURE, "off", "--why", "to be measured without"])?;
    std::thread::sleep(HEARD);
    let before = alone.metric(COPIES)?;
    let (with, without) = (watched.at, alone.at);
    let load = |at| Load {
        at,
        path: format!("/{ANSWERS_AFTER}/order"),
        connections: CONNECTIONS,
        rate: RATE,
        seconds: SECONDS,
    };
    let (mut moved, mut bare) = (Vec::new(), Vec::new());
    for round in 0..context.rounds {
        let (with, without) = in_turns(round, &load(with), &load(without))?;
        eprintln!(
            "  round {} of {}: p50 {:.0} µs, p99 {:.0} µs; nobody watching {:.0} and {:.0}",
            round + 1,
            context.rounds,
            with.p50,
            with.p99,
            without.p50,
            without.p99
        );
        moved.push(100.0 * (with.p99 / without.p99 - 1.0));
        bare.push(without.p99);
    }
    let (copies, none) = (watched.metric(COPIES)?, alone.metric(COPIES)? - before);
    let wanted = RATE * SECONDS * context.rounds as f64;
    if none > 0.0 || copies < wanted * 0.99 {
        return Err(format!("{copies} of {wanted} reads were copied, and {none} that should not be").into());
    }
    Ok(Measured::of(vec![Figure {
        name: "edge.shadow.p99".into(),
        measured: median(moved),
        unit: "%".into(),
        target: Target::AtMost(TARGET),
        note: format!(
            "the p99 of the primary, {:.0} µs, moved by sending every read to the other side too and comparing 10 KB; both take \
             {} ms, {RATE:.0} requests a second; `dozen up` with the feature in stage compare and in stage off",
            median(bare),
            ANSWERS_AFTER / 1_000
        ),
    }]))
}

/// A gateway in front of both, with a feature for all of it, which begins with what is compared.
fn fronted(folder: &Path, old: SocketAddr, new: SocketAddr) -> Result<Up, Failure> {
    let at = |address: SocketAddr| json!({ "at": format!("http://{address}"), "sidecar": false });
    let compare = json!({ "sample": "100%", "ignore": ["$.madeAt"], "unordered": ["$.order.items by sku"] });
    dozen::up(
        folder,
        json!({
            "services": { "old": at(old), "new": at(new) },
            "features": { FEATURE: {
                "old": "old", "new": "new", "match": "/{*rest}", "stages": ["compare"], "compare": compare
            } },
            "gateway": {},
        }),
    )
}

/// Asks until what is asked is copied.
fn until_watched(up: &Up) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while up.metric(COPIES)? == 0.0 {
        if Instant::now() > until {
            return Err("nothing is copied in stage compare".into());
        }
        dozen_harness::get(&format!("http://{}/{ANSWERS_AFTER}/order", up.at))?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
