//! What can be chosen for a topic and a subscription.

use std::time::Duration;

use dozen_messaging::{Policy, Start};

/// A topic's settings.
#[derive(Clone, Debug)]
pub struct TopicOptions {
    /// How long messages are kept for those who come late. A subscription that has not read one keeps it for longer.
    pub keep: Duration,
    /// The largest payload that it takes, in bytes.
    pub bytes_max: u64,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 24 * 3600), bytes_max: 1024 * 1024 }
    }
}

/// A subscription that is pushed over HTTP.
#[derive(Clone, Debug)]
pub struct SubscriptionConfig {
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// The service that receives.
    pub service: String,
    /// The path to POST to.
    pub path: String,
    /// Where it begins when it is new.
    pub start: Start,
    /// How long one delivery may take before it counts as failed; also the lease.
    pub lease: Duration,
    /// How failures are retried, and when they become dead letters.
    pub policy: Policy,
    /// Deliveries under way at once.
    pub in_flight_max: usize,
}
