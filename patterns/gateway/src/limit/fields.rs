//! What a client is told of its limits: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and
//! `Retry-After` (RFC 9110).

use std::fmt::Write as _;
use std::time::Duration;

use super::{Decision, Rate};

/// A limit, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: String,
    rate: Rate,
}

impl Policy {
    /// `name` is shown; what cannot stand in a structured field's string is left out.
    pub(crate) fn new(name: &str, rate: Rate) -> Self {
        let can_stand = |sign: &char| (' '..='~').contains(sign) && !matches!(sign, '"' | '\\');
        Self { name: name.chars().filter(can_stand).collect(), rate }
    }
}

/// The headers for an answer, in the order of the limits. Without a limit there are none.
pub fn fields(limits: &[(&Policy, Decision)]) -> Vec<(&'static str, String)> {
    if limits.is_empty() {
        return Vec::new();
    }
    let (mut policies, mut states) = (String::with_capacity(32), String::with_capacity(32));
    for (policy, decision) in limits {
        let comma = if policies.is_empty() { "" } else { ", " };
        let Policy { name, rate } = policy;
        // Writing to a string does not fail.
        let _ = write!(policies, "{comma}\"{name}\";q={}", rate.count);
        if rate.period.subsec_nanos() == 0 {
            let _ = write!(policies, ";w={}", rate.period.as_secs());
        }
        let _ = write!(states, "{comma}\"{name}\";r={};t={}", decision.remaining, seconds(decision.reset));
    }
    let mut fields = vec![("ratelimit-policy", policies), ("ratelimit", states)];
    let refused = limits.iter().filter(|(_, decision)| !decision.passes);
    if let Some(wait) = refused.map(|(_, decision)| decision.retry_after).max() {
        fields.push(("retry-after", seconds(wait).max(1).to_string()));
    }
    fields
}

/// Rounded up: who waits that long has waited long enough.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
