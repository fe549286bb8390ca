//! `anyOf` and `oneOf`.
//!
//! A writer with alternatives writes any of them, so each must be allowed by the reader. A reader with alternatives must
//! have one for all that a writer writes. Where the writer's side is one piece and the reader's is several, it is cut by
//! type first; a cut of any other kind is not looked for, and the answer is then undecided.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shape::{Allowed, Shape, shape};
use super::walk::Walk;

impl Walk<'_> {
    /// Takes alternatives apart; false when there are none and the rest can be compared as it is.
    pub(super) fn split(&mut self, writer: &Shape, reader: &Map<String, Value>) -> bool {
        for keyword in ["anyOf", "oneOf"] {
            let Some(Value::Array(alternatives)) = writer.0.get(keyword) else { continue };
            // Unchanged alternatives hold for whatever the rest allows.
            let unchanged = reader.get(keyword).is_some_and(|asked| self.same(&writer.0[keyword], asked));
            let mut reader = reader.clone();
            if unchanged {
                reader.remove(keyword);
            }
            let base = writer.without(keyword).to_schema();
            let reader = Value::Object(without_done(reader));
            for alternative in alternatives {
                self.pair(&serde_json::json!({"allOf": [base, alternative]}), &reader);
            }
            return true;
        }
        let mut plain = true;
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(alternatives)) = reader.get(keyword) {
                self.choose(keyword, writer, alternatives);
                plain = false;
            }
        }
        if !plain {
            let mut rest = without_done(reader.clone());
            rest.remove("anyOf");
            rest.remove("oneOf");
            self.types(writer, &rest);
        }
        !plain
    }

    /// Looks for an alternative that allows all that is written, for each type.
    fn choose(&mut self, keyword: &str, writer: &Shape, alternatives: &[Value]) {
        if keyword == "oneOf" && !self.exclusive(alternatives) {
            return self.undecided("whether exactly one of its `oneOf` is met cannot be decided");
        }
        let mut kinds = writer.types();
        if kinds.contains("number") {
            kinds.remove("integer");
        }
        for kind in kinds {
            let piece = writer.with("type", kind.into()).to_schema();
            if !alternatives.iter().any(|alternative| self.quietly(&piece, alternative)) {
                self.undecided(format!(
                    "no single alternative of its `{keyword}` takes every {kind} that was allowed"
                ));
            }
        }
    }

    /// Whether no payload meets two of them: by their types, or by a property that names its kind.
    fn exclusive(&self, alternatives: &[Value]) -> bool {
        let mut shapes = Vec::with_capacity(alternatives.len());
        for alternative in alternatives {
            match shape(self.reader, alternative, self.draft) {
                Ok(Allowed::Some(shape)) => shapes.push(shape),
                Ok(Allowed::Nothing) => {}
                Err(_) => return false,
            }
        }
        shapes
            .iter()
            .enumerate()
            .all(|(at, left)| shapes[at + 1..].iter().all(|right| self.disjoint(left, right)))
    }

    fn disjoint(&self, left: &Shape, right: &Shape) -> bool {
        let (types, others) = (left.types(), right.types());
        let shared: BTreeSet<_> = types.intersection(&others).collect();
        if shared.is_empty() || disjoint_values(left.values(), right.values()) {
            return true;
        }
        if shared.into_iter().any(|kind| *kind != "object") {
            return false;
        }
        let required = |side: &Shape, name: &str| {
            side.0.get("required").is_some_and(|names| super::shape::strings(names).any(|own| own == name))
        };
        let values = |side: &Shape, name: &str| {
            let property = side.0.get("properties").and_then(|named| named.get(name))?;
            match shape(self.reader, property, self.draft) {
                Ok(Allowed::Some(shape)) => shape.values(),
                _ => None,
            }
        };
        let names = left.0.get("properties").and_then(Value::as_object);
        names.is_some_and(|names| {
            names.keys().any(|name| {
                required(left, name)
                    && required(right, name)
                    && disjoint_values(values(left, name), values(right, name))
            })
        })
    }
}

fn disjoint_values(left: Option<Vec<Value>>, right: Option<Vec<Value>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => left.iter().all(|value| !right.contains(value)),
        _ => false,
    }
}

/// Without what has been compared before alternatives are taken apart.
fn without_done(mut reader: Map<String, Value>) -> Map<String, Value> {
    reader.remove("$ref");
    reader.remove("allOf");
    reader
}
