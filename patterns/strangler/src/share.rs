//! A share of the traffic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A share, in millionths, so that it is exact and can be compared. Written as `5%` or `0.1%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// So many millionths; all of it at most.
    pub const fn millionths(millionths: u32) -> Self {
        if millionths > 1_000_000 { Self::ALL } else { Self(millionths) }
    }

    /// So many per cent; all of it at most.
    pub const fn percent(percent: u32) -> Self {
        Self::millionths(percent.saturating_mul(10_000))
    }

    /// Between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// What is missing to all of it.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }

    /// Whether it takes in a point of the range of 64 bits. A greater share takes in what a smaller one does.
    pub fn takes(self, point: u64) -> bool {
        (u128::from(point) * u128::from(Self::ALL.0)) >> 64 < u128::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        match part {
            0 => write!(f, "{whole}%"),
            part => write!(f, "{whole}.{}%", format!("{part:04}").trim_end_matches('0')),
        }
    }
}

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write `5%` or `0.1%`, from 0% to 100%, with four decimals at most")]
pub struct NoShare(String);

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let read = || {
            let number = text.strip_suffix('%')?;
            let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(whole) || !digits(part) || part.len() > 4 {
                return None;
            }
            let part: u32 = format!("{part:0<4}").parse().ok()?;
            let all = whole.parse::<u32>().ok()?.checked_mul(10_000)?.checked_add(part)?;
            (all <= Self::ALL.0).then_some(Self(all))
        };
        read().ok_or_else(|| NoShare(text.chars().take(40).collect()))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_reads_what_it_writes_and_refuses_the_rest() {
        for text in ["0%", "1%", "0.1%", "12.3456%", "100%", "99.9%", "0.0001%"] {
            assert_eq!(text.parse::<Share>().map(|share| share.to_string()), Ok(text.to_owned()));
        }
        for wrong in
            ["", "%", "5", "101%", "-1%", "1.%", ".5%", "1.23456%", "100.0001%", "99999999999%", "1 %"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_takes_nothing_and_all_takes_all() {
        for point in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Share::NONE.takes(point) && Share::ALL.takes(point));
        }
    }

    proptest! {
        #[test]
        fn a_greater_share_takes_what_a_smaller_one_takes(point: u64, one in 0u32..=1_000_000, other in 0u32..=1_000_000) {
            let (small, great) = (Share::millionths(one.min(other)), Share::millionths(one.max(other)));
            prop_assert!(!small.takes(point) || great.takes(point));
        }
    }
}
