//! What a user writes about who may pass.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::one_or_many::one_or_many;
use super::{Identity, Refusal, Secret};

pub use super::key::Algorithm;

/// A route's `auth`: one name, or this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthOptions {
    /// One of these methods must vouch; they are names in `identity`, and asked in this order.
    #[serde(deserialize_with = "one_or_many")]
    pub any: Vec<String>,
    /// All of these must.
    #[serde(deserialize_with = "one_or_many")]
    pub all: Vec<String>,
    /// What must hold besides, in CEL over `claims`, `consumer`, `request` and `route`.
    pub require: Option<String>,
    /// Whether a request without any credential passes too. One with a wrong credential does not.
    pub optional: bool,
}

/// One way to show who one is: an entry of `identity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodOptions {
    /// A signed token.
    Jwt(JwtOptions),
    /// An API key of a consumer's.
    Key(KeyOptions),
    /// A token that its issuer is asked about.
    Introspect(IntrospectOptions),
    /// A service that decides.
    Forward(ForwardOptions),
}

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
    /// A JWK set at an `http://` URL. Secret keys in it are ignored.
    Url(String),
    /// A JWK set in a file, which is read again like a URL.
    File(PathBuf),
    /// A secret that the issuer has too, of 32 bytes at least.
    Secret(Secret),
}

/// `key`: an API key, in a header or in the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOptions {
    /// This header, which the service does not see.
    Header(String),
    /// This query parameter. The service sees it, and so do logs on the way: prefer a header.
    Query(String),
}

/// `introspect`: a bearer token that is asked about (RFC 7662).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntrospectOptions {
    /// Where to ask.
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
    /// Where to ask. It gets a `GET` with the request's method, path, host and address as `x-forwarded-…`.
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
            Self::Deny => Err(Refusal::of(super::Reason::Unreachable).with("retry-after", "1")),
        }
    }
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

fn ask_timeout() -> Duration {
    Duration::from_secs(2)
}

fn keep() -> Duration {
    Duration::from_secs(30)
}

fn keep_no() -> Duration {
    Duration::from_secs(5)
}

fn cache_max() -> usize {
    10_000
}

fn body_max() -> usize {
    16 * 1024
}

fn shown() -> Vec<String> {
    vec!["authorization".into(), "cookie".into()]
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
