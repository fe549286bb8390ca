//! Requests that are held against JSON Schemas, part by part.

use dozen_schema::{Schema, SchemaError, Violation};
use http::HeaderMap;
use serde_json::{Map, Value as Json};

use super::Wrong;
use super::problem::{Flaw, Part};
use crate::asked::decoded;
use crate::options::ValidateOptions;

/// A schema for each part that has one.
#[derive(Debug)]
pub(super) struct Schemas {
    pub(super) body: Option<Schema>,
    query: Option<Schema>,
    headers: Option<Schema>,
}

impl Schemas {
    pub(super) fn compile(written: &ValidateOptions) -> Result<Self, Wrong> {
        let one = |name: &str, document: &Option<Json>| -> Result<Option<Schema>, Wrong> {
            let Some(document) = document else { return Ok(None) };
            compile(document).map(Some).map_err(|problem| (format!("validate.{name}"), problem))
        };
        let ValidateOptions { body, query, headers } = written;
        let [body, query, headers] = [("body", body), ("query", query), ("headers", headers)]
            .map(|(name, document)| one(name, document));
        Ok(Self { body: body?, query: query?, headers: headers? })
    }

    /// What is wrong with the head of a request.
    pub(super) fn head(&self, query: Option<&str>, headers: &HeaderMap) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if let Some(schema) = &self.query {
            hold(schema, &object(pairs(query)), Part::Query, "", &mut flaws);
        }
        if let Some(schema) = &self.headers {
            let fields = headers.iter().map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            hold(schema, &object(fields), Part::Header, "", &mut flaws);
        }
        flaws
    }
}

/// A schema from its document, or a sentence about what is wrong with it.
pub(super) fn compile(document: &Json) -> Result<Schema, String> {
    Schema::compile(document.to_string().as_bytes()).map_err(|error| match error {
        SchemaError::Invalid { path, problem } => format!("is no JSON Schema: at `{path}` {problem}"),
        other => format!("is no JSON Schema: {other}"),
    })
}

/// Adds what is wrong with `value`, which stands at `at` in its part.
pub(super) fn hold(schema: &Schema, value: &Json, part: Part, at: &str, flaws: &mut Vec<Flaw>) {
    let Err(violations) = schema.validate_value(value) else { return };
    flaws.extend(violations.into_iter().map(|Violation { path, problem }| Flaw {
        part,
        pointer: format!("{at}{path}"),
        detail: problem,
    }));
}

/// The parameters of a query, their escapes undone.
pub(super) fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let text = |part: &str| String::from_utf8_lossy(&decoded(part)).into_owned();
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (text(name), text(value))
    })
}

/// An object of texts; what comes again is a list.
pub(super) fn object(pairs: impl Iterator<Item = (String, String)>) -> Json {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.get_mut(&name) {
            Some(Json::Array(list)) => list.push(value.into()),
            Some(single) => *single = Json::Array(vec![single.take(), value.into()]),
            None => drop(object.insert(name, value.into())),
        }
    }
    Json::Object(object)
}
