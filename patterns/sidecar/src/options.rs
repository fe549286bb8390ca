//! What a sidecar is told.

use std::fmt;
use std::time::Duration;

use dozen_messaging::Policy;

/// A text that is never shown, and compared without telling how much of it was right.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from view. `None` when it is empty: an empty secret protects nothing.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        Some(text.into()).filter(|text| !text.is_empty()).map(Self)
    }

    /// The text, for the one who has to be shown it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `text` is the secret. Takes as long for a wrong text as for the right one; only the length may show.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let differing = secret.iter().zip(text).fold(0u8, |seen, (one, other)| seen | (one ^ other));
        std::hint::black_box(differing) == 0 && secret.len() == text.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a sidecar serves its application.
#[derive(Clone, Debug)]
pub struct Options {
    /// The application's name: what others invoke, and the name of its subscriptions.
    pub app_id: String,
    /// Where the application listens, `host:port`. `None` for one that only calls.
    pub app_address: Option<String>,
    /// The names under which the broker is known to the application.
    pub pubsub_names: Vec<String>,
    /// What the application must send as `dapr-api-token`.
    pub api_token: Option<Secret>,
    /// What the sidecar sends to the application as `dapr-api-token`.
    pub app_token: Option<Secret>,
    /// Bytes of a body that is read whole, as a published event is. Invocations are streamed.
    pub body_max: usize,
    /// How long an invoked app may take to begin its answer, and then to send more of it.
    pub invoke_timeout: Duration,
    /// How long the application may take over one event.
    pub deliver_timeout: Duration,
    /// Events of one subscription that the application handles at once.
    pub deliveries_max: usize,
    /// What happens to an event that the application does not handle.
    pub policy: Policy,
}

impl Options {
    /// The usual options for `app_id`, with one broker called `pubsub`.
    pub fn new(app_id: impl Into<String>, app_address: Option<String>) -> Self {
        Self {
            app_id: app_id.into(),
            app_address,
            pubsub_names: vec!["pubsub".into()],
            api_token: None,
            app_token: None,
            body_max: 4 * 1024 * 1024,
            invoke_timeout: Duration::from_secs(60),
            deliver_timeout: Duration::from_secs(60),
            deliveries_max: 16,
            policy: Policy::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_whole_and_never_shown() {
        let secret = Secret::new("s3cret").unwrap();
        assert!(secret.is(b"s3cret"));
        for wrong in ["", "s3cre", "s3cret!", "S3cret"] {
            assert!(!secret.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert!(Secret::new("").is_none());
    }
}
