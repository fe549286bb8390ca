//! So many in so long, as people write it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use dozen_core::duration;
use serde::{Deserialize, Serialize};

/// A number of requests in a time: `100/1m`, `5/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub period: Duration,
}

impl Rate {
    /// The time for one.
    pub(crate) fn interval_nanos(self) -> u64 {
        // Rounded up, so that rounding never lets more through.
        let nanos = self.period.as_nanos().div_ceil(u128::from(self.count.get()));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate such as `100/1m`, `5/s` or `1000/1h`");
        let (count, period) = text.split_once('/').ok_or_else(wrong)?;
        let period = period.trim();
        let one_of = |unit: &str| duration::parse(&format!("1{unit}"));
        let period = duration::parse(period).or_else(|| one_of(period)).ok_or_else(wrong)?;
        let rate = Self { count: count.trim().parse().map_err(|_| wrong())?, period };
        if period.is_zero() || period > Duration::from_secs(31 * 86_400) {
            return Err(format!("`{text}` counts over a time that is not between 1 ms and 31 days"));
        }
        if rate.interval_nanos() < 1000 {
            return Err(format!("`{text}` is more than a million a second, which limits nothing"));
        }
        Ok(rate)
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, duration::text(self.period))
    }
}
