//! What a translation gives, or why there is none.

use std::fmt;

use dozen_core::{Diagnose, Fault, Retry};

use crate::value::Value;

/// What a translation gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The value.
    pub value: Value,
    /// Where something failed and the table said what stands in, the first sixteen. A field that was only missing is
    /// none of them.
    pub fallbacks: Vec<Fallback>,
    /// How often that was, all in all.
    pub fallbacks_total: usize,
}

/// A field that failed, and for which something stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The rule, as a place in the table: from a closed set, good for a metric.
    pub rule: String,
    /// The field, as a place in the result.
    pub target: String,
    /// Why.
    pub problem: Problem,
}

/// Why there is no translation. The texts never hold values of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The rule, as a place in the table: `map.price`.
    pub rule: String,
    /// The field, as a place in the result: `lines[2].price`.
    pub target: String,
    /// The path that it has its value from, if it has one.
    pub source: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is nothing.
    #[error("nothing is there")]
    Missing,
    /// There are several where one belongs.
    #[error("{found} values are there, where one belongs")]
    Several {
        /// How many.
        found: usize,
    },
    /// It is not what `as` says.
    #[error("{found} that is there is no {wanted}")]
    Conversion {
        /// What it should be.
        wanted: &'static str,
        /// What it is, in a word or two.
        found: &'static str,
    },
    /// A word that `enum` does not list.
    #[error("the word that is there is not listed")]
    Unlisted,
    /// A condition that cannot be decided.
    #[error("`when` cannot be decided: {0}")]
    Undecided(dozen_expression::Problem),
    /// The program fails.
    #[error("{0}")]
    Jq(crate::jq::JqError),
    /// There is more than there may be. No `on-error` catches this.
    #[error("the translation has more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
}

impl Problem {
    /// A closed set of words, for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several { .. } => "several",
            Self::Conversion { .. } => "conversion",
            Self::Unlisted => "unlisted",
            Self::Undecided(_) => "undecided",
            Self::Jq(_) => "jq",
            Self::TooMuch { .. } => "too_much",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = if self.target.is_empty() { "the result" } else { &self.target };
        match &self.source {
            Some(source) => write!(f, "`{target}` from `{source}`: {}", self.problem),
            None => write!(f, "`{target}`: {}", self.problem),
        }
    }
}

impl std::error::Error for Failure {}

impl Diagnose for Failure {
    fn fault(&self) -> Fault {
        Fault::Dependency
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "translation-failed"
    }
}

/// A value in the middle of a sentence.
pub(super) fn the(value: &Value) -> &'static str {
    match value {
        Value::Null => "the null",
        Value::Bool(_) => "the boolean",
        Value::Number(_) => "the number",
        Value::Text(_) => "the text",
        Value::List(_) => "the list",
        Value::Object(_) => "the object",
    }
}
