//! Signed tokens, as they are written.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Secret;
use super::Algorithm;
use crate::one_or_many::one_or_many;

/// `jwt`: a bearer token that somebody signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JwtOptions {
    /// Who must have issued it (`iss`), exactly as the token says it. Without it, whoever has the keys.
    #[serde(default)]
    pub issuer: Option<String>,
    /// For whom it must be (`aud`): one of these; `"*"` takes tokens for anybody.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// Where the keys are.
    pub keys: KeySource,
    /// The algorithms that are taken. Without it, `HS256` with a secret, and `RS256`, `ES256`, `EdDSA` otherwise.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// The token's `typ`, for example `at+jwt`; without it, any.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Claims that must be there, beside `exp`.
    #[serde(default)]
    pub required: Vec<String>,
    /// The claim that names the consumer. Its plan and tags are those in `consumers`, if the name stands there.
    #[serde(default)]
    pub consumer: Option<String>,
    /// How far the issuer's clock may differ.
    #[serde(default = "leeway", with = "dozen_core::duration")]
    pub leeway: Duration,
    /// How often the keys are fetched.
    #[serde(default = "refresh", with = "dozen_core::duration")]
    pub refresh: Duration,
    /// How long the keys are used after they were last fetched.
    #[serde(default = "stale_max", with = "dozen_core::duration")]
    pub stale_max: Duration,
    /// The least time between two fetches, whatever key names tokens bring.
    #[serde(default = "cool_down", with = "dozen_core::duration")]
    pub cool_down: Duration,
    /// How long a fetch may take.
    #[serde(default = "timeout", with = "dozen_core::duration")]
    pub timeout: Duration,
    /// How many verified tokens are kept.
    #[serde(default = "cache_max")]
    pub cache_max: usize,
}

/// Where keys are: `{ url: … }`, `{ file: … }` or `{ secret: … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// A JWK set at an `https://` or `http://` URL, or at `service:/path` of a service. Secret keys in it are ignored.
    Url(String),
    /// A JWK set in a file, which is read again like a URL.
    File(PathBuf),
    /// A secret that the issuer has too, of 32 bytes at least.
    Secret(Secret),
}

fn leeway() -> Duration {
    Duration::from_secs(30)
}

fn refresh() -> Duration {
    Duration::from_secs(600)
}

fn stale_max() -> Duration {
    Duration::from_secs(3600)
}

fn cool_down() -> Duration {
    Duration::from_secs(10)
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}

/// Tokens and answers that are kept.
pub(super) fn cache_max() -> usize {
    10_000
}

impl JwtOptions {
    /// Tokens for `audience`, signed with `keys`; all else as if it were not written.
    pub fn new(keys: KeySource, audience: impl Into<String>) -> Self {
        Self {
            issuer: None,
            audience: vec![audience.into()],
            keys,
            algorithms: Vec::new(),
            kind: None,
            required: Vec::new(),
            consumer: None,
            leeway: leeway(),
            refresh: refresh(),
            stale_max: stale_max(),
            cool_down: cool_down(),
            timeout: timeout(),
            cache_max: cache_max(),
        }
    }
}
