//! The access log, as it is asked for.

use serde::{Deserialize, Serialize};

/// A line of JSON for each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessLogOptions {
    /// `stdout`, or the path of a file that is appended to.
    pub to: String,
    /// What a line shows of the query.
    #[serde(default)]
    pub query: QueryShown,
}

/// What is written of a query: values may be secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryShown {
    /// Nothing.
    #[default]
    Hidden,
    /// The names of its parameters.
    Names,
    /// Names and values; but no value of a parameter whose name sounds like a secret.
    Values,
}
