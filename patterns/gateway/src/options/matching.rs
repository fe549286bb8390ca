//! Which requests a route takes, as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::one_or_many::one_or_many;

/// Which requests a route takes. All that is said must hold.
///
/// Wanted values are texts: `*` is any value, `~` begins a regular expression that must match the whole value, and
/// everything else is the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Match {
    /// A path; `{id}` takes one segment, `{*rest}` or `*` at the end takes all that follow. Empty where there is a
    /// `regex`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// A regular expression that matches the whole canonical path; its named groups can be used like `{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// One method or several; without it, every method. `GET` includes `HEAD`.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<String>,
    /// This host, or `*.example.com`; without it, every host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Headers that must have these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must have these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Cookies that must have these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, String>,
    /// Claims of the caller's token that must have these values; a dotted name such as `realm.roles` goes down into
    /// them, and of a list one element is enough.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claim: BTreeMap<String, String>,
    /// A condition in CEL over `method`, `scheme`, `host`, `path`, `query`, `headers`, `cookies`, `claims` and `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}
