//! Asking a second endpoint when the first takes unusually long, and using whichever answers first.
//!
//! A hedged request (Jeffrey Dean and Luiz André Barroso, *The Tail at Scale*, 2013) cuts the slowest answers for a few
//! percent more load: with `after: p95`, at most five in a hundred requests are sent twice. Only requests that are
//! idempotent, whose body is at hand, and that no other layer repeats; and each hedge is paid for from the budget of
//! retries, so that a service which is slow because of its load does not get more of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// When a request is sent a second time without waiting for the first to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HedgePolicy {
    /// How long the first answer is waited for: a time such as `50ms`, or how long the service usually takes, `p95`.
    pub after: HedgeAfter,
    /// Further requests at most, each after the same wait.
    pub max: u32,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { after: HedgeAfter::Percent(95), max: 1 }
    }
}

/// How long an answer is waited for before a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long.
    Time(Duration),
    /// As long as this many in a hundred of the service's answers take; no hedge while that is not known.
    Percent(u8),
}

impl HedgePolicy {
    /// The wait before the next hedge, or `None` if there is to be none. `sent` counts how often the request is on its
    /// way, `left` is the time until the caller's deadline, `usual` tells a quantile of the service's latency.
    ///
    /// When the wait is over and the answer still missing, the budget is to be asked.
    pub fn wait(
        &self,
        sent: u32,
        may_repeat: bool,
        left: Option<Duration>,
        usual: impl FnOnce(u8) -> Option<Duration>,
    ) -> Option<Duration> {
        if !may_repeat || sent > self.max {
            return None;
        }
        let wait = match self.after {
            HedgeAfter::Time(time) => time,
            HedgeAfter::Percent(percent) => usual(percent)?,
        };
        // What is sent when there is no time for a second answer of usual length only adds load.
        left.is_none_or(|left| wait.saturating_mul(2) <= left).then_some(wait)
    }
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&dozen_core::duration::text(*time)),
            Self::Percent(percent) => write!(f, "p{percent}"),
        }
    }
}

impl Serialize for HedgeAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HedgeAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let percent = text.strip_prefix('p').and_then(|digits| digits.parse().ok());
        let percent = percent.filter(|percent| (1..100).contains(percent)).map(Self::Percent);
        percent.or_else(|| dozen_core::duration::parse(&text).map(Self::Time)).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is neither a duration such as `50ms` nor `p1` to `p99`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_hedge_waits_for_what_is_usual_and_knows_its_limits() {
        let policy = HedgePolicy::default();
        let usual = |percent| (percent == 95).then_some(MILLI * 40);
        assert_eq!(policy.wait(1, true, None, usual), Some(MILLI * 40));
        assert_eq!(policy.wait(2, true, None, usual), None, "one is enough");
        assert_eq!(policy.wait(1, false, None, usual), None, "not twice");
        assert_eq!(policy.wait(1, true, None, |_| None), None, "nothing is known yet");
        assert_eq!(policy.wait(1, true, Some(MILLI * 80), usual), Some(MILLI * 40));
        assert_eq!(policy.wait(1, true, Some(MILLI * 79), usual), None, "it would come too late");
        let fixed = HedgePolicy { after: HedgeAfter::Time(MILLI * 5), max: 2 };
        assert_eq!(fixed.wait(2, true, None, |_| None), Some(MILLI * 5));
        assert_eq!(fixed.wait(3, true, None, |_| None), None);
    }

    #[test]
    fn it_is_written_as_it_is_said() {
        for (text, after) in [("p99", HedgeAfter::Percent(99)), ("50ms", HedgeAfter::Time(MILLI * 50))] {
            let policy: HedgePolicy = serde_json::from_str(&format!(r#"{{"after":"{text}"}}"#)).unwrap();
            assert_eq!((policy.after, policy.max), (after, 1));
            assert_eq!(policy.after.to_string(), text);
        }
        for wrong in ["p0", "p100", "95", "soon"] {
            assert!(serde_json::from_str::<HedgeAfter>(&format!("\"{wrong}\"")).is_err(), "{wrong}");
        }
    }
}
