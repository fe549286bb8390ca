//! What a user writes about one way to ask: the request, the answer, and the errors.

use std::collections::BTreeMap;

use dozen_mapping::Value;
use serde::{Deserialize, Serialize};

use super::Speaks;

/// How one provider is asked, and how its answer is understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskOptions {
    /// Who.
    pub provider: String,
    /// What is sent.
    #[serde(default)]
    pub request: RequestOptions,
    /// What comes back.
    #[serde(default)]
    pub answer: AnswerOptions,
    /// Their errors as ours. The first one whose condition holds counts.
    #[serde(default)]
    pub errors: Vec<ErrorOptions>,
}

/// A request in their model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestOptions {
    /// The method.
    pub method: String,
    /// The path, with `{name}` for values of `with`, each of which stays within its segment.
    pub path: String,
    /// A table that makes the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// Headers, with `{name}` for values of `with`.
    pub headers: BTreeMap<String, String>,
    /// The format of the document that is sent. Without it, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
    /// A table that makes the document. Without it, it is what `with` makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// A table that makes the header of an envelope of SOAP. Without it, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
    /// The statement for a database, with `:name` for values of `with`, or of `map` where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Whether the same request may be made twice, or elsewhere too, without harm. Without it, its method says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeatable: Option<bool>,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            query: None,
            headers: BTreeMap::new(),
            format: None,
            map: None,
            header: None,
            sql: None,
            repeatable: None,
        }
    }
}

impl RequestOptions {
    /// The keys that are set and mean nothing for a provider that is asked like this.
    pub(crate) fn is_foreign_to(&self, speaks: Speaks) -> Vec<&'static str> {
        let plain = Self::default();
        let of_http = [
            ("method", self.method != plain.method),
            ("path", self.path != plain.path),
            ("query", self.query.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        let keys: Vec<(&'static str, bool)> = match speaks {
            Speaks::Http => vec![("sql", self.sql.is_some())],
            Speaks::Sql => {
                let of_documents = [("format", self.format.is_some()), ("header", self.header.is_some())];
                of_http.into_iter().chain(of_documents).collect()
            }
            Speaks::Messages => of_http.into_iter().chain([("sql", self.sql.is_some())]).collect(),
        };
        keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }
}

/// An answer in their model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswerOptions {
    /// Its format.
    pub format: Value,
    /// JSON Schema of the document as the format reads it. The table needs no branch for what it promises, and live answers
    /// are compared with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// A table that makes our result. Without it, the result is the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// The same as one rule, where the result is no object: `{ each: …, map: … }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Value>,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { format: "json".into(), schema: None, map: None, rule: None }
    }
}

/// One error of theirs, and what it is in our words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErrorOptions {
    /// A condition in CEL over `status`, `fault` (`code`, `subcode`, `reason`, `detail`) and `body`.
    pub when: String,
    /// The last part of the problem's type, or a whole URI. Not with `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The status of the problem; 502 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What kind of thing is wrong, in our words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A table over `status`, `fault` and `body` that makes further members of the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// Whether it means that the next provider is asked.
    #[serde(default)]
    pub next: bool,
}
