//! What a writer's schema allows, brought into one flat form.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::draft::Draft;

/// How many references in a row are followed.
const REFERENCES_MAX: usize = 32;

/// The seven words for types. A whole number is both an `integer` and a `number`.
pub(super) const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// Keywords that say nothing about which payloads are right.
pub(super) const REMARKS: &[&str] = &[
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "$vocabulary",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// The members of a schema, with its own references and `allOf` put together.
///
/// Where two parts say different things that cannot be put together, the second is left out. Leaving something out
/// makes the writer's side larger, so that what is then found to be compatible is.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(pub(super) Map<String, Value>);

/// What stands in for a schema that allows nothing.
pub(super) enum Allowed {
    Nothing,
    Some(Shape),
}

/// Flattens `schema`, whose references lead into `root`.
pub(super) fn shape(root: &Value, schema: &Value, draft: Draft) -> Result<Allowed, String> {
    let mut flat = Map::new();
    let possible = gather((root, draft), schema, &mut flat, REFERENCES_MAX)?;
    Ok(if possible { Allowed::Some(Shape(flat)) } else { Allowed::Nothing })
}

/// Adds `schema` to what is gathered; false when it allows nothing.
fn gather(
    document: (&Value, Draft),
    schema: &Value,
    flat: &mut Map<String, Value>,
    left: usize,
) -> Result<bool, String> {
    let members = match schema {
        Value::Bool(allowed) => return Ok(*allowed),
        Value::Object(members) => members,
        _ => return Err("this is no schema".to_owned()),
    };
    if left == 0 {
        return Err(format!("more than {REFERENCES_MAX} references lead to one another"));
    }
    let mut possible = true;
    if let Some(reference) = members.get("$ref") {
        possible &= gather(document, resolve(document.0, reference)?, flat, left - 1)?;
        if document.1 == Draft::Old {
            return Ok(possible);
        }
    }
    for part in members.get("allOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
        possible &= gather(document, part, flat, left - 1)?;
    }
    // Members of a group mean something beside their leader only, and two groups cannot be mixed.
    let led = |keyword: &str| GROUPS.iter().find(|group| group.contains(&keyword)).map(|group| group[0]);
    let taken: Vec<&str> =
        GROUPS.iter().map(|group| group[0]).filter(|leader| flat.contains_key(*leader)).collect();
    for (keyword, value) in members {
        let known = ["$ref", "allOf"].contains(&keyword.as_str()) || REMARKS.contains(&keyword.as_str());
        let stray =
            led(keyword).is_some_and(|leader| !members.contains_key(leader) || taken.contains(&leader));
        if !known && !stray {
            add(flat, keyword, value);
        }
    }
    Ok(possible)
}

/// Keywords that depend on the first of them.
const GROUPS: [&[&str]; 2] = [&["if", "then", "else"], &["contains", "minContains", "maxContains"]];

/// Adds one keyword, taking the narrower of two where that is plain.
fn add(flat: &mut Map<String, Value>, keyword: &str, value: &Value) {
    let Some(before) = flat.get_mut(keyword) else {
        flat.insert(keyword.to_owned(), value.clone());
        return;
    };
    if before == value {
        return;
    }
    match keyword {
        "required" => {
            let names: BTreeSet<&str> = strings(before).chain(strings(value)).collect();
            *before = names.into_iter().collect();
        }
        "properties" | "patternProperties" => {
            let (Some(before), Some(more)) = (before.as_object_mut(), value.as_object()) else { return };
            for (name, schema) in more {
                match before.get_mut(name) {
                    None => {
                        before.insert(name.clone(), schema.clone());
                    }
                    Some(both) => *both = serde_json::json!({"allOf": [both.clone(), schema]}),
                }
            }
        }
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            larger(before, value, |before, value| value > before);
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            larger(before, value, |before, value| value < before);
        }
        "type" => {
            let narrowed: Vec<&str> = {
                let (left, right) = (types_of(before), types_of(value));
                TYPES.into_iter().filter(|word| left.contains(word) && right.contains(word)).collect()
            };
            *before = narrowed.into_iter().collect();
        }
        // `additionalProperties` and `items` depend on their neighbours, and the rest cannot be put together.
        _ => {}
    }
}

fn larger(before: &mut Value, value: &Value, wins: impl Fn(f64, f64) -> bool) {
    if let (Some(left), Some(right)) = (before.as_f64(), value.as_f64())
        && wins(left, right)
    {
        *before = value.clone();
    }
}

/// What a reference inside the document stands for.
pub(super) fn resolve<'r>(root: &'r Value, reference: &Value) -> Result<&'r Value, String> {
    let reference = reference.as_str().unwrap_or("");
    let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(pointer) = pointer else {
        return Err(format!("the reference `{reference}` is not followed; only `#/…` is"));
    };
    let found = root.pointer(&pointer.replace("%25", "%").replace("%22", "\""));
    found.ok_or_else(|| format!("the reference `{reference}` leads nowhere"))
}

/// The strings of an array of strings.
pub(super) fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// The types that a `type` allows, with `integer` wherever `number` is.
pub(super) fn types_of(value: &Value) -> BTreeSet<&'static str> {
    let named: BTreeSet<&str> = value.as_str().into_iter().chain(strings(value)).collect();
    let number = named.contains("number");
    TYPES.into_iter().filter(|word| named.contains(word) || (number && *word == "integer")).collect()
}

impl Shape {
    /// The types that it allows.
    pub(super) fn types(&self) -> BTreeSet<&'static str> {
        self.0.get("type").map_or_else(|| TYPES.into_iter().collect(), types_of)
    }

    /// All its values, where they can be counted.
    pub(super) fn values(&self) -> Option<Vec<Value>> {
        if let Some(only) = self.0.get("const") {
            return Some(vec![only.clone()]);
        }
        if let Some(Value::Array(values)) = self.0.get("enum") {
            return Some(values.clone());
        }
        let types = self.types();
        let few = types.iter().all(|word| ["null", "boolean"].contains(word));
        few.then(|| {
            let null = types.contains("null").then_some(Value::Null);
            let truths = types.contains("boolean").then_some([false, true].map(Value::Bool));
            null.into_iter().chain(truths.into_iter().flatten()).collect()
        })
    }

    /// The same with this keyword said otherwise.
    pub(super) fn with(&self, keyword: &str, value: Value) -> Self {
        let mut members = self.0.clone();
        members.insert(keyword.to_owned(), value);
        Self(members)
    }

    /// The same without this keyword.
    pub(super) fn without(&self, keyword: &str) -> Self {
        let mut members = self.0.clone();
        members.remove(keyword);
        Self(members)
    }

    /// As a schema.
    pub(super) fn to_schema(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// A number that a keyword gives.
    pub(super) fn number(&self, keyword: &str) -> Option<f64> {
        self.0.get(keyword).and_then(Value::as_f64)
    }
}
