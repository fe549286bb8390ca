//! Whether a feature may go on: pass, fail, or unknown, which holds it where it is.
//!
//! ```text
//!  counts of all gateways ─► parity      how many compared answers differ          pass needs proof
//!                            writes      how many reconciled writes differ          pass needs proof
//!                            errors      how much more often the new side fails     fail needs proof
//!                            latency     how much slower its slowest hundredth is   fail needs proof
//!                            lag         how far the side that is fed is behind     holds, never fails
//!                                 any fail: fail · any unknown: unknown · else pass
//! ```
//!
//! Pure: counts in, a judgement out. What is missing is unknown, and unknown holds: no traffic, no samples, a comparison that
//! could not be made, are never taken for good news.
//!
//! **How sure it is.** With a confidence of 95 % (α = 5 %), over a whole stage and however often it is looked at: a side that
//! differs more often than allowed is passed with probability α at most, and one that keeps within what is allowed is failed
//! with probability α at most, half of it for the whole and half for all windows together (the window with number *w* is
//! given α/2 · 6/π² · 1/(w+1)²). The reasons stand at [`Rate`]. Both hold for samples that are independent of each other; the
//! latency guard compares with the old side's quantile as it was measured, so its α is nominal.
//!
//! **When the old side is not asked** (the move is complete, and nothing is shadowed in reverse; or all that comes are writes),
//! there is nothing to compare failures with. The old side is then taken to fail one time in twenty: a new side that is shown
//! to fail more often goes back. That is no proof that the old side is better; it is what somebody on call would do.

mod counts;
mod histogram;
mod rate;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use counts::{Answers, Counts, Evidence};
pub use histogram::Histogram;
pub(crate) use histogram::{CLASS_COUNT, class_of};
pub use rate::Rate;

use crate::Stage;
use crate::options::GateOptions;

/// What a gate says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may go on.
    Pass,
    /// Not enough is known: it stays where it is.
    #[default]
    Unknown,
    /// A threshold is broken.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `parity`, `errors`, `latency`, `writes` or `lag`.
    pub name: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// In a sentence with the numbers.
    pub says: String,
}

/// All that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judgement {
    /// The worst of all checks.
    pub verdict: Verdict,
    /// Each.
    pub checks: Vec<Check>,
}

/// Samples from which on a fail is believed.
const FAIL_SAMPLES_MIN: u64 = 10;
/// How often the old side is taken to fail while it is hardly asked: from then on the new side is worse than it.
const OLD_FAILS_MAX: f64 = 0.05;
/// A rate around which an outage is looked for. A guess near the margin alone would need hundreds of failures to believe one.
const OUTAGE: f64 = 0.5;
/// What part of the answers may be beyond the 99th percentile.
const TAIL: f64 = 0.01;

/// Judges a feature at `stage`. `writes` says whether the other side is fed with writes.
pub fn judge(options: &GateOptions, stage: Stage, evidence: &Evidence) -> Judgement {
    let test = Test::new(options, evidence);
    let mut checks = vec![test.errors(), test.latency()];
    if stage >= Stage::Compare {
        checks.insert(
            0,
            test.rare("parity", "compared answers differ", options.parity.rest().fraction(), |counts| {
                counts.differing
            }),
        );
    }
    if let Some(lag) = evidence.lag {
        let allowed = options.reconciled.rest().fraction();
        let mut writes =
            test.rare("writes", "reconciled writes differ", allowed, |counts| counts.unreconciled);
        let unread = evidence.whole.unread;
        if unread > 0 {
            writes
                .says
                .push_str(&format!("; {unread} more could not be read on both sides, and prove nothing"));
        }
        checks.push(writes);
        checks.push(lagging(lag, options.lag));
    }
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or_default();
    Judgement { verdict, checks }
}

struct Test<'t> {
    options: &'t GateOptions,
    evidence: &'t Evidence,
    /// The error allowed over a whole stage.
    alpha: f64,
}

impl<'t> Test<'t> {
    fn new(options: &'t GateOptions, evidence: &'t Evidence) -> Self {
        Self { options, evidence, alpha: options.confidence.rest().fraction() }
    }

    /// Whether something is shown by the whole or by the latest window, each with its part of the error.
    fn shown(&self, proves: impl Fn(&Counts, f64) -> bool) -> bool {
        let window = self.evidence.window as f64 + 1.0;
        let of_window = self.alpha / 2.0 * 6.0 / (std::f64::consts::PI * window).powi(2);
        proves(&self.evidence.whole, self.alpha / 2.0) || proves(&self.evidence.recent, of_window)
    }

    /// Whether something is rarer than `allowed`.
    fn is_rare(&self, allowed: f64, rate: impl Fn(&Counts) -> Rate) -> Verdict {
        let whole = rate(&self.evidence.whole);
        let fails = self.shown(|counts, alpha| {
            let rate = rate(counts);
            rate.trials >= FAIL_SAMPLES_MIN
                && rate.seen().is_some_and(|seen| seen > allowed)
                && rate.excludes(allowed, alpha, allowed)
        });
        let passes = whole.trials >= self.options.samples
            && whole.seen().is_some_and(|seen| seen < allowed)
            && whole.excludes(allowed, self.alpha, allowed);
        three(passes, fails)
    }

    /// Something that must be rarer than `allowed`, and must be shown to be.
    fn rare(&self, name: &'static str, what: &str, allowed: f64, rate: impl Fn(&Counts) -> Rate) -> Check {
        let whole = rate(&self.evidence.whole);
        let (low, high) = whole.interval(self.alpha, allowed);
        let says = match whole.trials {
            0 => format!("nothing was compared yet ({what}: not known)"),
            _ => format!(
                "{} of {} {what}: between {} and {}, and {} is allowed",
                whole.hits,
                whole.trials,
                percent(low),
                percent(high),
                percent(allowed)
            ),
        };
        Check { name, verdict: self.is_rare(allowed, rate), says }
    }

    fn errors(&self) -> Check {
        let margin = self.options.errors.fraction();
        let expected = margin.max(1e-4);
        let (old, new) = (self.evidence.whole.old.failing(), self.evidence.whole.new.failing());
        let fails = self.shown(|counts, alpha| {
            let (old, new) = (counts.old.failing(), counts.new.failing());
            // Each guess may be wrong with half of the error, and each side with half of that.
            let alpha = alpha / 4.0;
            let worst = |guess: f64| match old.trials >= FAIL_SAMPLES_MIN {
                true => old.interval(alpha, guess).1,
                false => old.seen().unwrap_or(0.0).max(OLD_FAILS_MAX),
            };
            let shown = |guess: f64| new.interval(alpha, guess).0 > worst(guess) + margin;
            new.trials >= FAIL_SAMPLES_MIN && (shown(expected) || shown(OUTAGE))
        });
        let enough = old.trials.min(new.trials) >= self.options.samples;
        let passes = enough && new.seen().zip(old.seen()).is_some_and(|(new, old)| new <= old + margin);
        let says = format!(
            "the new side failed {} of {} times, the old side {} of {}; {} more is allowed",
            new.hits,
            new.trials,
            old.hits,
            old.trials,
            percent(margin)
        );
        Check { name: "errors", verdict: three(passes, fails), says }
    }

    fn latency(&self) -> Check {
        let Counts { old, new, .. } = &self.evidence.whole;
        let (Some(of_old), Some(of_new)) =
            (old.latency.quantile(1.0 - TAIL), new.latency.quantile(1.0 - TAIL))
        else {
            let says = "one side has not answered yet".to_owned();
            return Check { name: "latency", verdict: Verdict::Unknown, says };
        };
        let limit = of_old * self.options.p99;
        // A quantile of a few answers is no measure to hold anybody to.
        let measured = old.latency.total() >= self.options.samples.min(1_000);
        let fails = measured
            && self.shown(|counts, alpha| {
                let late = Rate::new(counts.new.latency.beyond(limit), counts.new.latency.total());
                late.trials >= FAIL_SAMPLES_MIN
                    && late.seen().is_some_and(|seen| seen > TAIL)
                    && late.excludes(TAIL, alpha, TAIL)
            });
        let enough = old.latency.total().min(new.latency.total()) >= self.options.samples;
        let says = format!(
            "99 of 100 answers take up to {:.1} ms on the new side and {:.1} ms on the old; {} times as long is allowed",
            of_new * 1e3,
            of_old * 1e3,
            self.options.p99
        );
        Check { name: "latency", verdict: three(enough && of_new <= limit, fails), says }
    }
}

fn lagging(lag: Option<Duration>, allowed: Duration) -> Check {
    let (verdict, says) = match lag {
        None => (Verdict::Unknown, "it is not known how far the side that is fed is behind".to_owned()),
        Some(lag) => {
            let verdict = if lag <= allowed { Verdict::Pass } else { Verdict::Unknown };
            (verdict, format!("the side that is fed is {lag:.1?} behind, and {allowed:?} is allowed"))
        }
    };
    Check { name: "lag", verdict, says }
}

fn three(passes: bool, fails: bool) -> Verdict {
    match (fails, passes) {
        (true, _) => Verdict::Fail,
        (_, true) => Verdict::Pass,
        _ => Verdict::Unknown,
    }
}

fn percent(part: f64) -> String {
    let text = format!("{:.3}", part * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Judgement {
    /// The reasons for the verdict, as one text.
    pub fn reason(&self) -> String {
        let decisive = self.checks.iter().filter(|check| check.verdict == self.verdict);
        decisive.map(|check| format!("{}: {}", check.name, check.says)).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        })
    }
}

#[cfg(test)]
mod tests;
