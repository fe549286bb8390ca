//! How often something happens, as far as counts can tell, at any time one looks.
//!
//! The usual interval for a rate is right for one look at a number of samples that was fixed before. A gate looks all the
//! time and stops when it likes what it sees; with such an interval it would sooner or later like chance alone.
//!
//! A *confidence sequence* is right at all times together. Here it is the mixture of Robbins: for each rate `p`, weigh the
//! chance of what was seen under all rates (a Beta prior) against its chance under `p`. Were `p` the rate, the weight would be
//! a martingale that begins at 1, and by Ville's inequality would ever reach `1/α` with probability `α` at most. So the rates
//! whose weight has reached it are out, now and for ever, however often somebody looks.
//!
//! H. Robbins, *Statistical Methods Related to the Law of the Iterated Logarithm*, Ann. Math. Statist. 41 (1970);
//! J. Ville, *Étude critique de la notion de collectif* (1939); S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon,
//! *Time-uniform, nonparametric, nonasymptotic confidence sequences*, Ann. Statist. 49 (2021).

use serde::{Deserialize, Serialize};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How often it happened.
    pub hits: u64,
    /// Out of how many.
    pub trials: u64,
}

/// Halvings in the search for an end of an interval: beyond the precision of a float.
const HALVINGS: usize = 60;

impl Rate {
    /// So many of so many.
    pub fn new(hits: u64, trials: u64) -> Self {
        Self { hits: hits.min(trials), trials }
    }

    /// What was seen; `None` without samples.
    pub fn seen(self) -> Option<f64> {
        (self.trials > 0).then(|| self.hits as f64 / self.trials as f64)
    }

    /// Whether `rate` is out of the question, with an error of `alpha` over all looks at these counts as they grow.
    ///
    /// `expected` is the rate around which the answer is wanted soonest; it changes how soon, never how sure.
    pub fn excludes(self, rate: f64, alpha: f64, expected: f64) -> bool {
        self.weight_against(rate, expected) >= -alpha.ln()
    }

    /// The rates that are not out of the question.
    pub fn interval(self, alpha: f64, expected: f64) -> (f64, f64) {
        let Some(seen) = self.seen() else { return (0.0, 1.0) };
        // The weight is 0 at most where the rate is what was seen, and rises towards both ends.
        let end = |mut inside: f64, mut outside: f64| {
            if !self.excludes(outside, alpha, expected) {
                return outside;
            }
            for _ in 0..HALVINGS {
                let middle = (inside + outside) / 2.0;
                *(if self.excludes(middle, alpha, expected) { &mut outside } else { &mut inside }) = middle;
            }
            outside
        };
        (end(seen, 0.0), end(seen, 1.0))
    }

    /// The logarithm of the weight of all rates against this one.
    fn weight_against(self, rate: f64, expected: f64) -> f64 {
        let (hits, misses) = (self.hits as f64, (self.trials - self.hits) as f64);
        // A prior with its mean near what is expected, and wide.
        let (a, b) = (0.5, 0.5 / expected.clamp(1e-6, 0.5));
        let chance = |count: f64, rate: f64| if count == 0.0 { 0.0 } else { count * rate.ln() };
        let under = chance(hits, rate) + chance(misses, 1.0 - rate);
        if under == f64::NEG_INFINITY {
            return f64::INFINITY;
        }
        ln_beta(a + hits, b + misses) - ln_beta(a, b) - under
    }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function: Stirling's series, for small arguments after shifting them up.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_8 + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_is_that() {
        for (x, expected) in
            [(1.0, 0.0), (0.5, 0.572_364_942_924_700_1), (5.0, 24.0_f64.ln()), (100.0, 359.134_205_369_575_4)]
        {
            assert!((ln_gamma(x) - expected).abs() < 1e-10, "{x}: {}", ln_gamma(x));
        }
    }

    #[test]
    fn an_interval_holds_what_was_seen_and_narrows() {
        assert_eq!(Rate::default().interval(0.05, 0.001), (0.0, 1.0));
        let mut width = 1.0;
        for trials in [10, 100, 1_000, 10_000, 1_000_000, 1_000_000_000] {
            let rate = Rate::new(trials / 10, trials);
            let (low, high) = rate.interval(0.05, 0.001);
            assert!(low < 0.1 && 0.1 < high && high - low < width, "{low} {high}");
            width = high - low;
        }
        let (low, high) = Rate::new(0, 5_000).interval(0.05, 0.001);
        assert!(low == 0.0 && high < 0.001, "5000 without a hit show a rate below a thousandth: {high}");
        let (low, high) = Rate::new(4, 4).interval(0.05, 0.001);
        assert!(low > 0.001 && high == 1.0, "four of four show more than a thousandth: {low}");
    }
}
