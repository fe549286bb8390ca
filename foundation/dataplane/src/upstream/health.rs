//! Asking an endpoint whether it is well, and when to believe what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whatever the jitter, no endpoint is asked without a pause.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// How endpoints are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthPolicy {
    /// The path that is asked with `GET`.
    pub path: String,
    /// How often, for each endpoint.
    #[serde(with = "dozen_core::duration")]
    pub interval: Duration,
    /// By how many percent an interval may be shorter or longer, so that not all are asked at once.
    pub jitter_percent: u32,
    /// How long an answer may take, its body included.
    #[serde(with = "dozen_core::duration")]
    pub timeout: Duration,
    /// Good answers in a row after which an endpoint that was ill is well again.
    pub healthy_after: u32,
    /// Bad ones in a row after which it is ill.
    pub unhealthy_after: u32,
    /// The statuses that are good; without one, all from 200 to 299.
    pub expect: Vec<u16>,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            path: "/health".into(),
            interval: Duration::from_secs(5),
            jitter_percent: 20,
            timeout: Duration::from_secs(2),
            healthy_after: 2,
            unhealthy_after: 3,
            expect: Vec::new(),
        }
    }
}

impl HealthPolicy {
    /// Whether an answer of this status is a good one.
    pub(super) fn expects(&self, status: u16) -> bool {
        match self.expect.as_slice() {
            [] => (200..300).contains(&status),
            listed => listed.contains(&status),
        }
    }

    /// The wait before the next question.
    pub(super) fn wait(&self, random: u64) -> Duration {
        let spread = u64::from(self.jitter_percent.min(100));
        let percent = 100 - spread + random % (2 * spread + 1);
        (self.interval * u32::try_from(percent).unwrap_or(100) / 100).max(WAIT_MIN)
    }
}

/// What the probes say of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Nothing yet: it may be used.
    #[default]
    Unknown,
    /// It is well.
    Healthy,
    /// It is not, and is not used.
    Unhealthy,
}

/// The state of an endpoint's probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) health: Health,
    /// Equal results in a row: good ones above zero, bad ones below.
    pub(super) streak: i32,
}

impl Standing {
    /// One more result.
    #[must_use]
    pub(super) fn after(self, is_good: bool, policy: &HealthPolicy) -> Self {
        let streak = match is_good {
            true => self.streak.max(0).saturating_add(1),
            false => self.streak.min(0).saturating_sub(1),
        };
        let reaches = |least: u32| streak.unsigned_abs() >= least;
        let health = match (self.health, is_good) {
            // The first answer that it gives at all tells enough: nothing has spoken against it.
            (Health::Unknown, true) => Health::Healthy,
            (Health::Unhealthy, true) if reaches(policy.healthy_after) => Health::Healthy,
            (Health::Unknown | Health::Healthy, false) if reaches(policy.unhealthy_after) => {
                Health::Unhealthy
            }
            (health, _) => health,
        };
        Self { health, streak }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_opinion_changes_at_its_threshold_and_not_before() {
        let policy = HealthPolicy::default();
        let after = |results: &str| {
            results.bytes().fold(Standing::default(), |at, result| at.after(result == b'+', &policy)).health
        };
        for (results, health) in [
            ("", Health::Unknown),
            ("+", Health::Healthy),
            ("--", Health::Unknown),
            ("---", Health::Unhealthy),
            ("+--+--", Health::Healthy),
            ("+---", Health::Unhealthy),
            ("---+", Health::Unhealthy),
            ("---++", Health::Healthy),
            ("---+-+", Health::Unhealthy),
        ] {
            assert_eq!(after(results), health, "{results}");
        }
    }

    #[test]
    fn expected_is_what_is_listed() {
        let usual = HealthPolicy::default();
        assert!(usual.expects(204) && !usual.expects(301) && !usual.expects(503));
        let listed = HealthPolicy { expect: vec![401, 429], ..usual };
        assert!(listed.expects(401) && !listed.expects(200));
    }

    proptest! {
        #[test]
        fn waits_are_spread_around_the_interval(random: u64, jitter_percent in 0u32..=100) {
            let policy = HealthPolicy { jitter_percent, ..HealthPolicy::default() };
            let (wait, percent) = (policy.wait(random), jitter_percent);
            prop_assert!(wait >= policy.interval * (100 - percent) / 100);
            prop_assert!(wait <= policy.interval * (100 + percent) / 100);
        }
    }
}
