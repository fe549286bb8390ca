//! Methods that ask somebody else, as they are written.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Identity, Reason, Refusal, Secret};
use super::jwt::cache_max;
use crate::one_or_many::one_or_many;

/// `introspect`: a bearer token that is asked about (RFC 7662).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntrospectOptions {
    /// Where to ask: an `https://` or `http://` URL, or `service:/path` of a service.
    pub url: String,
    /// Who asks: the name that the issuer knows the gateway by.
    #[serde(default)]
    pub client: Option<String>,
    /// The secret that goes with it.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Who must have issued the token, if the issuer says it.
    #[serde(default)]
    pub issuer: Option<String>,
    /// For whom it must be; without it, anybody.
    #[serde(default, deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// The claim that names the consumer.
    #[serde(default)]
    pub consumer: Option<String>,
    /// How long the issuer may take.
    #[serde(default = "ask_timeout", with = "dozen_core::duration")]
    pub timeout: Duration,
    /// How long a yes is kept, and no longer than the token lives.
    #[serde(default = "keep", with = "dozen_core::duration")]
    pub keep: Duration,
    /// How long a no is kept.
    #[serde(default = "keep_no", with = "dozen_core::duration")]
    pub keep_no: Duration,
    /// What happens when the issuer cannot be asked.
    #[serde(default)]
    pub on_unreachable: OnUnreachable,
    /// How many answers are kept.
    #[serde(default = "cache_max")]
    pub cache_max: usize,
}

/// `forward`: a service that decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ForwardOptions {
    /// Where to ask, as [`IntrospectOptions::url`]. It gets a `GET` with the request's method, path, host and address as `x-forwarded-…`.
    pub url: String,
    /// Headers of the request that it sees.
    #[serde(default = "shown")]
    pub headers: Vec<String>,
    /// Headers of its yes that the service behind sees. A client's own of these names are removed.
    #[serde(default)]
    pub copy: Vec<String>,
    /// How long it may take.
    #[serde(default = "ask_timeout", with = "dozen_core::duration")]
    pub timeout: Duration,
    /// Bytes of its no that are passed on; a longer one counts as no answer.
    #[serde(default = "body_max")]
    pub body_max: usize,
    /// What happens when it cannot be asked.
    #[serde(default)]
    pub on_unreachable: OnUnreachable,
}

/// What happens to requests when whoever has to be asked is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnreachable {
    /// They are refused with 503.
    #[default]
    Deny,
    /// They pass, as nobody in particular.
    Allow,
}

impl OnUnreachable {
    pub(crate) fn answer(self, method: &Arc<str>) -> Result<Arc<Identity>, Refusal> {
        match self {
            Self::Allow => Ok(Arc::new(Identity::by(method))),
            Self::Deny => Err(Refusal::of(Reason::Unreachable).with("retry-after", "1")),
        }
    }
}

fn ask_timeout() -> Duration {
    Duration::from_secs(2)
}

fn keep() -> Duration {
    Duration::from_secs(30)
}

fn keep_no() -> Duration {
    Duration::from_secs(5)
}

fn body_max() -> usize {
    16 * 1024
}

fn shown() -> Vec<String> {
    vec!["authorization".into(), "cookie".into()]
}

impl IntrospectOptions {
    /// Tokens that `url` is asked about; all else as if it were not written.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            client: None,
            secret: None,
            issuer: None,
            audience: Vec::new(),
            consumer: None,
            timeout: ask_timeout(),
            keep: keep(),
            keep_no: keep_no(),
            on_unreachable: OnUnreachable::default(),
            cache_max: cache_max(),
        }
    }
}

impl ForwardOptions {
    /// What `url` says; all else as if it were not written.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: shown(),
            copy: Vec::new(),
            timeout: ask_timeout(),
            body_max: body_max(),
            on_unreachable: OnUnreachable::default(),
        }
    }
}
