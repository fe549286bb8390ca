//! A compiled mapping.

use std::sync::Arc;

use serde::Deserialize;

use crate::limits::Limits;
use crate::mistake::{Mistake, Mistakes};
use crate::table::{self, Failure, Rule, Translated};
use crate::value::Value;

/// What a field does that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The whole translation fails.
    Fail,
    /// Its `default` stands in.
    Default,
    /// It is left out.
    Omit,
    /// Null stands in.
    Null,
}

/// What a mapping is compiled with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'s> {
    /// The JSON Schema of the input. What it says is always there, and of the right type, needs no branch.
    pub input: Option<&'s serde_json::Value>,
    /// The JSON Schema of the output. What it does not have is refused.
    pub output: Option<&'s serde_json::Value>,
    /// What a field does that fails, or that finds nothing, and says nothing itself. Without it, a field that may fail
    /// must say so. [`OnError::Default`] means the same as [`OnError::Fail`] here.
    pub on_error: Option<OnError>,
}

/// A mapping from one model to another, for many threads. Cloning it copies nothing.
#[derive(Clone, Debug)]
pub struct Mapping(Arc<Rule>);

impl Mapping {
    /// Compiles a table: an object of fields, which makes an object. `at` says where it stands in the file, and begins
    /// the path of each mistake.
    pub fn table(table: &Value, at: &str, options: &Options<'_>) -> Result<Self, Mistakes> {
        let Value::Object(_) = table else {
            let problem = format!("a table is an object of fields, and this is {}", table.kind());
            return Err(Mistake::new(at, problem).into());
        };
        let rule = Value::object([("map", table.clone())]);
        match at.strip_suffix("map") {
            // The path of a rule's table ends in `map` by itself.
            Some(around) => Self::rule(&rule, around.trim_end_matches('.'), options),
            None => Self::rule(&rule, at, options),
        }
    }

    /// Compiles one rule in its long form: `{ map: … }` makes an object, `{ each: …, map: … }` a list, `{ jq: … }` what
    /// its program says.
    pub fn rule(rule: &Value, at: &str, options: &Options<'_>) -> Result<Self, Mistakes> {
        Ok(Self(Arc::new(table::compile(rule, at, options)?)))
    }

    /// Translates one value. Either the whole of it comes out, or an error with its place.
    pub fn apply(&self, input: &Value, limits: &Limits) -> Result<Translated, Failure> {
        table::translate(&self.0, input, limits)
    }

    /// The mapping in the other direction, where each field is one value of the other side and nothing else: a path of
    /// names, a conversion, an `enum` whose words mean different things, and objects and lists of such fields. The mistake names
    /// the first field that is not.
    ///
    /// What is missing stays out; what cannot be converted back fails the translation. A number is written as a number,
    /// also where the other side has it as a text.
    pub fn reversed(&self) -> Result<Self, Mistake> {
        Ok(Self(Arc::new(table::reversed(&self.0)?)))
    }
}
