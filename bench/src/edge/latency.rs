//! What the way through the gateway adds to an answer's time, at half the load that it can bear.
//!
//! Told and not judged as yet: at this rate the load, which shares its core with the origin, is late itself, and what a call
//! takes is mostly its own waiting.

use super::load::{Latency, closed, open};
use super::origin;
use super::peer::{OURS, PEERS};
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

const CONNECTIONS: u32 = 32;
/// How long one sample lasts.
const SECONDS: u32 = 3;
/// The answer that is asked for.
const ANSWER: &str = "1k";

pub(crate) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let (_origin, direct) = origin::start(folder.path())?;
    let ours = PEERS.iter().find(|peer| peer.name == OURS).ok_or("ours is missing")?;
    let proxy = ours.start(folder.path(), direct)?;
    closed(proxy.at, ANSWER, CONNECTIONS, 1)?;
    let rate = closed(proxy.at, ANSWER, CONNECTIONS, 2)? / 2.0 / 2.0;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for round in 0..context.rounds {
        let ask = |at| open(at, ANSWER, CONNECTIONS, rate, SECONDS, folder.path());
        let (through, without): (Latency, Latency) = match round % 2 {
            0 => (ask(proxy.at)?, ask(direct)?),
            _ => {
                let without = ask(direct)?;
                (ask(proxy.at)?, without)
            }
        };
        eprintln!(
            "  round {} of {}: {rate:.0}/s, p50 {:.0} µs, p99 {:.0} µs; direct {:.0} and {:.0}",
            round + 1,
            context.rounds,
            through.p50,
            through.p99,
            without.p50,
            without.p99
        );
        p50.push(through.p50 - without.p50);
        p99.push(through.p99 - without.p99);
    }
    let how = format!(
        "above a call without a gateway, at {rate:.0} requests a second on {CONNECTIONS} connections (h2load), 1 KiB"
    );
    let figure = |name: &str, added: Vec<f64>| Figure {
        name: format!("edge.latency.{name}"),
        measured: median(added),
        unit: "µs".into(),
        target: Target::None,
        note: how.clone(),
    };
    Ok(Measured::of(vec![figure("p50", p50), figure("p99", p99)]))
}
