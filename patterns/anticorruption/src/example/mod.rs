//! Examples: what was asked, what came back, and what it means to us. One file is at once the translator's tests, its mock,
//! and what live answers are compared with.
//!
//! ```json
//! { "examples": [
//!   { "name": "an article in stock",
//!     "input": { "sku": "A7" },
//!     "exchanges": [
//!       { "call": "item", "provider": "erp",
//!         "request": { "method": "GET", "target": "/items/A7" },
//!         "answer": { "status": 200, "content-type": "application/xml", "body": "<Item code=\"A7\"/>" } } ],
//!     "output": { "sku": "A7" } } ] }
//! ```
//!
//! A document that is no UTF-8 is `body-base64`. `"failed": "timeout"` in place of an answer, also `unreachable` or `broken`,
//! shows what happens then; `"problem": { "type": …, "status": … }` in place of an output shows what a caller hears.

mod check;
mod difference;
mod exchange;
mod mask;
mod record;
mod recorded;

use dozen_mapping::{Limits, Object, Value, json};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

pub use check::{Case, Report};
pub use exchange::{Exchange, Failed, RecordedAnswer, RecordedRequest};
pub use record::Recording;
pub(crate) use recorded::Recorded;

/// Examples of one file.
const EXAMPLES_MAX: usize = 1000;

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// What comes in.
    #[serde(default)]
    pub input: Value,
    /// What is asked, in any order.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// What goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The problem that goes out in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemExample>,
}

/// A problem, as far as an example says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProblemExample {
    /// The last part of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its status.
    pub status: u16,
}

impl From<&Problem> for ProblemExample {
    fn from(problem: &Problem) -> Self {
        Self { kind: problem.kind.to_string(), status: problem.status }
    }
}

/// Why a file of examples cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the examples cannot be read: {0}")]
pub struct ExamplesError(String);

impl Example {
    /// All examples of a file in JSON.
    pub fn read(text: &str) -> Result<Vec<Self>, ExamplesError> {
        let whole = json::read(text, &Limits::default()).map_err(|error| ExamplesError(error.to_string()))?;
        Self::from_value(&whole)
    }

    /// The same from a tree, whatever it was written in. Inputs and outputs keep every digit.
    pub fn from_value(whole: &Value) -> Result<Vec<Self>, ExamplesError> {
        let list = whole.get("examples").and_then(Value::as_list);
        let list = list.ok_or_else(|| ExamplesError("it is an object with a list `examples`".into()))?;
        if list.len() > EXAMPLES_MAX {
            return Err(ExamplesError(format!("there are more than {EXAMPLES_MAX}")));
        }
        let read = |(at, value): (usize, &Value)| {
            let read = serde_json::from_value::<Self>(value.approximate());
            let mut example = read.map_err(|error| ExamplesError(format!("examples[{at}]: {error}")))?;
            if example.output.is_some() == example.problem.is_some() {
                return Err(ExamplesError(format!(
                    "examples[{at}]: it has either an `output` or a `problem`"
                )));
            }
            example.input = value.get("input").cloned().unwrap_or_default();
            example.output = value.get("output").cloned();
            Ok(example)
        };
        list.iter().enumerate().map(read).collect()
    }

    /// A file of these examples, for people to read and to keep beside the translator.
    pub fn write(examples: &[Self]) -> String {
        let list = examples.iter().map(Self::to_value).collect();
        let mut text = String::new();
        pretty(&Value::object([("examples", Value::List(list))]), 0, &mut text);
        text.push('\n');
        text
    }

    fn to_value(&self) -> Value {
        // Options and texts only: nothing of it can fail to be JSON. As text, for a tree of serde's would sort the members.
        let plain = serde_json::to_string(&self.exchanges).unwrap_or_default();
        let exchanges = json::read(&plain, &Limits::default()).unwrap_or_default();
        let mut object = Object::default();
        object.insert("name".into(), self.name.as_str().into());
        object.insert("input".into(), self.input.clone());
        object.insert("exchanges".into(), exchanges);
        if let Some(output) = &self.output {
            object.insert("output".into(), output.clone());
        }
        if let Some(ProblemExample { kind, status }) = &self.problem {
            let problem = [("type", kind.as_str().into()), ("status", i64::from(*status).into())];
            object.insert("problem".into(), Value::object(problem));
        }
        Value::Object(object)
    }
}

/// Indented JSON in which numbers keep their digits.
fn pretty(value: &Value, depth: usize, out: &mut String) {
    let (brackets, members): (_, Vec<(Option<&str>, &Value)>) = match value {
        Value::Object(object) if !object.is_empty() => {
            (['{', '}'], object.iter().map(|(name, value)| (Some(&**name), value)).collect())
        }
        Value::List(list) if !list.is_empty() => {
            (['[', ']'], list.iter().map(|value| (None, value)).collect())
        }
        plain => return out.push_str(&json::write(plain)),
    };
    out.push(brackets[0]);
    for (at, (name, value)) in members.into_iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(name) = name {
            out.push_str(&json::write(&Value::text(name)));
            out.push_str(": ");
        }
        pretty(value, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(brackets[1]);
}
