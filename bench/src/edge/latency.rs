//! What the way through the gateway adds to an answer's time, at half the load that it can bear.

use super::load::{closed, in_turns};
use super::origin;
use super::peer::{OURS, PEERS};
use crate::bar::{Figure, Measured, Target, median};
use crate::open::Load;
use crate::{Context, Failure};

const CONNECTIONS: u32 = 32;
/// How long one sample lasts.
const SECONDS: u32 = 3;
/// The answer that is asked for.
const ANSWER: &str = "1k";
/// Microseconds that may be added.
const TARGETS: [(&str, f64); 2] = [("p50", 60.0), ("p99", 250.0)];

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let (_origin, direct) = origin::start(folder.path())?;
    let ours = PEERS.iter().find(|peer| peer.name == OURS).ok_or("ours is missing")?;
    let proxy = ours.start(folder.path(), direct)?;
    closed(proxy.at, ANSWER, CONNECTIONS, 1, &[])?;
    let rate = closed(proxy.at, ANSWER, CONNECTIONS, 2, &[])? / 2.0 / 2.0;
    let load = |at| Load {
        at,
        path: format!("/{ANSWER}"),
        connections: CONNECTIONS as usize,
        rate,
        seconds: f64::from(SECONDS),
    };
    let mut added = [Vec::new(), Vec::new()];
    let (mut bare, mut late) = ([Vec::new(), Vec::new()], Vec::new());
    for round in 0..context.rounds {
        let (through, without) = in_turns(round, &load(proxy.at), &load(direct))?;
        eprintln!(
            "  round {} of {}: {rate:.0}/s, p50 {:.0} µs, p99 {:.0} µs; direct {:.0} and {:.0}; sent late by {:.0} and \
             {:.0}, direct {:.0} and {:.0}",
            round + 1,
            context.rounds,
            through.p50,
            through.p99,
            without.p50,
            without.p99,
            through.late_p50,
            through.late_p99,
            without.late_p50,
            without.late_p99,
        );
        for (at, (through, without)) in
            [(through.p50, without.p50), (through.p99, without.p99)].into_iter().enumerate()
        {
            added[at].push(through - without);
            bare[at].push(without);
        }
        late.push(through.late_p99);
    }
    let late = median(late);
    let figures = TARGETS.iter().zip(added).zip(bare).map(|(((name, target), added), bare)| Figure {
        name: format!("edge.latency.{name}"),
        measured: median(added),
        unit: "µs".into(),
        target: Target::AtMost(*target),
        note: format!(
            "above a direct call, which takes {:.0} µs; {rate:.0} requests a second on {CONNECTIONS} connections, 1 KiB, each \
             counted from when it was due (99 % were sent within {late:.0} µs)",
            median(bare)
        ),
    });
    Ok(Measured::of(figures.collect()))
}
