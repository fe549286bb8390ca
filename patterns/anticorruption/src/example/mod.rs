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
mod mask;
mod record;
mod recorded;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use dozen_mapping::{Limits, Object, Value, json};
use http::header;
use serde::{Deserialize, Serialize};

use crate::foreign::ForeignAnswer;
use crate::problem::Problem;

pub use check::{Case, Report};
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

/// One question to a provider, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exchange {
    /// The call that it belongs to.
    pub call: String,
    /// Who is asked.
    pub provider: String,
    /// What is sent.
    pub request: RecordedRequest,
    /// What comes back.
    pub answer: RecordedAnswer,
}

/// A request, as far as it matters: secrets in headers are never recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The document, if it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// An answer, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordedAnswer {
    /// Its status; 200 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The type of its document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The document, if it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failed {
    /// It was not reached.
    Unreachable,
    /// The exchange broke off.
    Broken,
    /// It took too long.
    Timeout,
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
        // Options and texts only: nothing of it can fail to be JSON.
        let plain = serde_json::to_value(&self.exchanges).unwrap_or_default();
        let mut object = Object::default();
        object.insert("name".into(), self.name.as_str().into());
        object.insert("input".into(), self.input.clone());
        object.insert("exchanges".into(), Value::from(&plain));
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

impl RecordedRequest {
    pub(crate) fn of(request: &http::Request<Bytes>) -> Self {
        let (body, body_base64) = written(request.body());
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        Self { method: request.method().to_string(), target: target.to_owned(), body, body_base64 }
    }

    pub(crate) fn bytes(&self) -> Option<Bytes> {
        bytes(self.body.as_deref(), self.body_base64.as_deref())
    }
}

impl RecordedAnswer {
    pub(crate) fn of(answer: &ForeignAnswer) -> Self {
        let (body, body_base64) = written(answer.body());
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        Self {
            status: Some(answer.status().as_u16()),
            content_type: kind.map(str::to_owned),
            body,
            body_base64,
            failed: None,
        }
    }

    /// The answer, if there is one that can be.
    pub(crate) fn whole(&self) -> Option<ForeignAnswer> {
        if self.failed.is_some() {
            return None;
        }
        let mut answer = http::Response::builder().status(self.status.unwrap_or(200));
        if let Some(kind) = &self.content_type {
            answer = answer.header(header::CONTENT_TYPE, kind);
        }
        answer.body(bytes(self.body.as_deref(), self.body_base64.as_deref())?).ok()
    }
}

fn written(document: &Bytes) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(document) {
        Ok("") => (None, None),
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(document))),
    }
}

fn bytes(text: Option<&str>, base64: Option<&str>) -> Option<Bytes> {
    match (text, base64) {
        (_, Some(base64)) => BASE64.decode(base64).ok().map(Bytes::from),
        (text, None) => Some(Bytes::from(text.unwrap_or_default().to_owned())),
    }
}
