//! What can be chosen for a topic.

use std::time::Duration;

/// A topic's settings.
#[derive(Clone, Debug)]
pub struct TopicOptions {
    /// How long messages are kept for those who come late. A subscription that has not read one keeps it for longer.
    pub keep: Duration,
    /// The largest payload that it takes, in bytes.
    pub bytes_max: u64,
    /// The member of a JSON payload that orders messages which bring no key of their own.
    pub key: Option<String>,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 24 * 3600), bytes_max: 1024 * 1024, key: None }
    }
}
