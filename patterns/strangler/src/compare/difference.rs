//! What differs, as it may be shown and kept.

use serde::{Deserialize, Serialize};

use super::json::Json;

/// How two answers differ at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The status.
    Status,
    /// A header.
    Header,
    /// Only the old answer has it.
    Missing,
    /// Only the new answer has it.
    Extra,
    /// It is of another kind, a text instead of a number for example.
    Type,
    /// It has another value.
    Value,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: `$.items[3].price`, `status`, `header location`.
    pub path: String,
    /// In which way.
    pub kind: Kind,
    /// What the old side says; personal data is described and not quoted.
    pub old: String,
    /// What the new side says.
    pub new: String,
}

/// All that is kept of the differences between two answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The first ones.
    pub shown: Vec<Difference>,
    /// How many there are beyond those.
    pub more: u64,
    /// The places that differ, with `[*]` for every element: what noise is learnt by. `None` when there are too many to
    /// tell apart.
    pub places: Option<std::collections::BTreeSet<String>>,
}

/// Characters of a value that are quoted.
const QUOTED_MAX: usize = 80;

/// A value in a few words: quoted if it is small and may be shown, described otherwise.
pub(crate) fn describe(value: &Json<'_>, redacted: bool) -> String {
    match value {
        Json::Array(elements) => format!("array of {}", elements.len()),
        Json::Object(members) => format!("object of {}", members.len()),
        Json::Null => "null".into(),
        Json::Text(text) if redacted => format!("text of {} characters", text.chars().count()),
        _ if redacted => value.kind().to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(text) => excerpt(text),
        Json::Text(text) => format!("\"{}\"", excerpt(text)),
    }
}

/// The beginning of a text.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
