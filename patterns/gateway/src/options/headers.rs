//! What a route does with headers, as it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::one_or_many::one_or_many;

/// Headers that are changed on the way in and on the way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HeaderOptions {
    /// On the way to the service.
    pub request: Change,
    /// On the way to the client.
    pub response: Change,
}

/// What is done to headers: first `remove`, then `set`, then `add`.
///
/// A value may hold `{id}` and the like. A header whose value refers to something that the request does not have is
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Change {
    /// These have this value and no other.
    pub set: BTreeMap<String, String>,
    /// These get this value beside those that they have.
    pub add: BTreeMap<String, String>,
    /// These are taken away.
    pub remove: Vec<String>,
}

/// Which pages of other origins may use a route from a browser (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CorsOptions {
    /// `https://shop.example`, `https://*.shop.example`, or `*` for every origin.
    #[serde(deserialize_with = "one_or_many")]
    pub origins: Vec<String>,
    /// Methods that may be used; empty is those of the route.
    #[serde(deserialize_with = "one_or_many")]
    pub methods: Vec<String>,
    /// Request headers that may be sent beside those that always may; `*` is every header.
    #[serde(deserialize_with = "one_or_many")]
    pub headers: Vec<String>,
    /// Response headers that a page may read beside those that it always may.
    #[serde(deserialize_with = "one_or_many")]
    pub expose: Vec<String>,
    /// Whether cookies and the like may come along. Not together with the origin `*`.
    pub credentials: bool,
    /// How long a browser may remember the answer to its preflight.
    #[serde(with = "dozen_core::duration")]
    pub max_age: Duration,
}

impl Default for CorsOptions {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: Vec::new(),
            headers: Vec::new(),
            expose: Vec::new(),
            credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}
