//! What a route does with bodies, as it is written.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use dozen_mapping::{Value, json};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::one_or_many::one_or_many;

/// How requests, or answers, are translated, as it is written.
///
/// It stays a tree until it is compiled, so that a mistake can be told with the place where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Translation(pub Value);

impl Hash for Translation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        json::write(&self.0).hash(state);
    }
}

/// JSON Schemas of the parts of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValidateOptions {
    /// Of its body, which has to be JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
    /// Of its query, as an object of texts; a parameter that comes again is a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Json>,
    /// Of its headers, as an object of texts by names in small letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Json>,
}

/// The description of an API that requests have to keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OpenapiOptions {
    /// OpenAPI 3.0 or 3.1, with nothing in it that refers to another document.
    pub document: Json,
    /// What the paths of clients begin with before those of the document; without it, the path of its first server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// Which answers are compressed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CompressOptions {
    /// Codings that may be used, the dearest first; the client's preference comes before that.
    #[serde(deserialize_with = "one_or_many")]
    pub codings: Vec<String>,
    /// Content types, `text/*` among them.
    #[serde(deserialize_with = "one_or_many")]
    pub types: Vec<String>,
    /// Answers that are known to be shorter stay as they are.
    pub min: u64,
}

impl Default for CompressOptions {
    fn default() -> Self {
        let types = [
            "text/*",
            "application/json",
            "application/problem+json",
            "application/xml",
            "application/javascript",
            "application/wasm",
            "application/*+json",
            "application/*+xml",
            "image/svg+xml",
        ];
        Self {
            codings: ["br", "zstd", "gzip"].map(str::to_owned).into(),
            types: types.map(str::to_owned).into(),
            min: 1024,
        }
    }
}

/// Which answers are kept to be used again (RFC 9111).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheOptions {
    /// Bytes of all answers that are kept; those used longest ago go first.
    pub max: u64,
    /// Bytes of one answer; a longer one is passed on and not kept.
    pub entry_max: u64,
    /// How long an answer is fresh that says nothing of it. Without it, only what says so is kept.
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Duration>,
    /// Headers whose values tell requests apart, beside those that answers name in `Vary`.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How long a stale answer is given while a new one is fetched, where the answer itself does not say so (RFC 5861).
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate: Option<Duration>,
    /// How long a stale answer is given in the place of a failure, where the answer itself does not say so (RFC 5861).
    #[serde(with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Duration>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            max: 16 * 1024 * 1024,
            entry_max: 1024 * 1024,
            fresh: None,
            by: Vec::new(),
            stale_while_revalidate: None,
            stale_if_error: None,
        }
    }
}
