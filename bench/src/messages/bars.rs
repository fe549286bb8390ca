//! What is compared with what, and the table of everything that was measured.

use std::fmt::Write as _;

use super::load::{Load, Sample};
use super::peer::Work;
use super::{PEERS, Results, loads};
use crate::bar::{Figure, Measured, Target, median};

/// One of ours against one of theirs.
struct Bar {
    ours: &'static str,
    theirs: &'static str,
    /// By how many callers.
    callers: &'static [usize],
    /// How many times as fast we are to be.
    append: f64,
    cycle: f64,
}

const BARS: &[Bar] = &[
    Bar { ours: "sqlite", theirs: "redis", callers: SOME, append: 1.5, cycle: 1.5 },
    Bar { ours: "sqlite", theirs: "redis-shared", callers: SOME, append: 1.5, cycle: 1.5 },
    Bar { ours: "sqlite", theirs: "rabbitmq", callers: SOME, append: 4.0, cycle: 4.0 },
    Bar { ours: "sqlite", theirs: "nats-sync", callers: SOME, append: 20.0, cycle: 20.0 },
    Bar { ours: "sqlite-normal", theirs: "nats", callers: SOME, append: 2.0, cycle: 2.0 },
    Bar { ours: "sqlite-normal", theirs: "nats-shared", callers: SOME, append: 2.0, cycle: 2.0 },
    Bar { ours: "postgres", theirs: "postgres-rows", callers: MANY, append: 4.0, cycle: 2.5 },
];
/// Enough for commits to be shared.
const SOME: &[usize] = &[16, 128];
const MANY: &[usize] = &[128];

/// One caller alone, against the fastest peer that syncs: a sync a message is what there is to win or lose.
const ALONE: (&str, f64) = ("sqlite", 0.9);

pub(super) fn compare(results: &Results) -> Measured {
    let mut figures = Vec::new();
    for load in loads() {
        let bars = BARS.iter().filter(|bar| bar.callers.contains(&load.callers));
        figures.extend(bars.filter_map(|bar| against(results, load, bar)));
        if load.callers == 1 {
            figures.extend(alone(results, load));
        }
    }
    Measured { figures, tables: tables(results) }
}

fn against(results: &Results, load: Load, bar: &Bar) -> Option<Figure> {
    let (ours, theirs) = (results.of(load, bar.ours), results.of(load, bar.theirs));
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    let target = match load.work {
        Work::Append => bar.append,
        Work::Cycle => bar.cycle,
    };
    Some(Figure {
        name: format!("{}.{}-vs-{}", load.name(), bar.ours, bar.theirs),
        measured: median(ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect()),
        unit: format!("x({})", bar.theirs),
        target: Target::AtLeast(target),
        note: format!("{} against {}", shown(ours), shown(theirs)),
    })
}

fn alone(results: &Results, load: Load) -> Option<Figure> {
    let ours = results.of(load, ALONE.0);
    let peers = PEERS.iter().filter(|entry| entry.is_synced && !entry.is_ours());
    let peers = peers.map(|entry| (entry.name, results.of(load, entry.name)));
    // By its median, so that the bar names one peer and not the luckiest of each round.
    let (best, theirs) = peers
        .filter(|(_, samples)| !samples.is_empty())
        .max_by(|one, other| rate(one.1).total_cmp(&rate(other.1)))?;
    let (_, target) = ALONE;
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    (!ratios.is_empty()).then(|| Figure {
        name: format!("{}.{}-vs-best", load.name(), ALONE.0),
        measured: median(ratios),
        unit: format!("x({best})"),
        target: Target::AtLeast(target),
        note: format!("one caller: {} against {}", shown(ours), shown(theirs)),
    })
}

fn rate(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.rate).collect())
}

fn cpu(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.cpu_us).collect())
}

fn shown(samples: &[Sample]) -> String {
    format!("{:.0}/s ({:.1} µs of CPU)", rate(samples), cpu(samples))
}

/// Who took part with which promise, and all medians.
fn tables(results: &Results) -> String {
    let others =
        results.samples.iter().flat_map(|(_, _, samples)| samples.iter().map(|sample| sample.others));
    let mut text = format!(
        "All else that ran on the machine used {:.0} % of its processors (median).\n\nWhat an acknowledgement promises:\n\n",
        100.0 * median(others.collect())
    );
    for (entry, what) in &results.peers {
        text += &match what {
            Ok(promise) => format!("- `{}`: {promise}\n", entry.name),
            Err(why) => format!("- `{}`: skipped. {why}\n", entry.name),
        };
    }
    for (work, what) in [
        (Work::Append, "callers that each wait for their acknowledgement"),
        (Work::Cycle, "the same, and two consumers that lease and acknowledge by 128"),
    ] {
        let loads: Vec<Load> = loads().filter(|load| load.work == work).collect();
        text += &format!(
            "\n`{}`, {what}: messages a second, and CPU microseconds a message in client and server.\n\n|  |",
            work.name()
        );
        for Load { payload, callers, .. } in &loads {
            text += &format!(" {payload} B × {callers} |");
        }
        text += &format!("\n|---|{}\n", "---|".repeat(loads.len()));
        for (entry, _) in results.peers.iter().filter(|(_, what)| what.is_ok()) {
            text += &format!("| {} |", entry.name);
            for load in &loads {
                let samples = results.of(*load, entry.name);
                // Writing into a string cannot fail.
                let _ = match samples {
                    [] => write!(text, " – |"),
                    _ => write!(text, " {:.0} ({:.1} µs) |", rate(samples), cpu(samples)),
                };
            }
            text.push('\n');
        }
    }
    text
}
