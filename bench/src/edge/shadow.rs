//! What those whom a client waits for notice of one who only watches.

use std::fs;
use std::net::SocketAddr;

use super::load::in_turns;
use super::{PROXY_CORE, Running, documents, free, part, slow};
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
    let facade = |words: &[&str]| -> Result<(Running, SocketAddr), Failure> {
        let at = free()?;
        let mut command = part::on(PROXY_CORE, "facade")?;
        command.args([at, old, new].map(|address| address.to_string())).args(words);
        Ok((Running::start(command, at)?, at))
    };
    let ((_watched, with), (_alone, without)) = (facade(&["--shadows"])?, facade(&[])?);
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
    Ok(Measured::of(vec![Figure {
        name: "edge.shadow.p99".into(),
        measured: median(moved),
        unit: "%".into(),
        target: Target::AtMost(TARGET),
        note: format!(
            "the p99 of the primary, {:.0} µs, moved by sending every read to the other side too and comparing 10 KB; both take \
             {} ms, {RATE:.0} requests a second; a facade made of the library",
            median(bare),
            ANSWERS_AFTER / 1_000
        ),
    }]))
}
