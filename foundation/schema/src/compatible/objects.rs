//! Objects: the properties that are named, those that are not, and which must be there.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shape::{Shape, strings};
use super::walk::Walk;

static ANYTHING: Value = Value::Bool(true);

impl Walk<'_> {
    pub(super) fn objects(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        self.sizes(writer, reader, "minProperties", "maxProperties", "properties");
        self.required(writer, reader);
        self.patterns(writer, reader);
        let names: BTreeSet<&str> = named(&writer.0).chain(named(reader)).collect();
        for name in names {
            self.property(name, writer, reader);
        }
        match (rest(&writer.0), rest(reader)) {
            (Value::Bool(true), Value::Bool(false)) => {
                self.certain("it was open, and now properties that are not named are refused");
            }
            (own, asked) => self.at("*", own, asked),
        }
        if let Some(asked) = reader.get("propertyNames") {
            let own = writer.0.get("propertyNames").cloned().unwrap_or_else(|| text_schema(&writer.0));
            self.at("*", &own, asked);
        }
    }

    fn required(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        let own: BTreeSet<&str> = writer.0.get("required").into_iter().flat_map(strings).collect();
        for name in reader.get("required").into_iter().flat_map(strings) {
            if !own.contains(name) {
                self.certain(format!("`{name}` is required now"));
            }
        }
    }

    fn property(&mut self, name: &str, writer: &Shape, reader: &Map<String, Value>) {
        let of =
            |side: &Map<String, Value>| side.get("properties").and_then(|named| named.get(name)).cloned();
        match (of(&writer.0), of(reader)) {
            (Some(own), Some(asked)) => self.at(name, &own, &asked),
            (Some(own), None) => match rest(reader) {
                Value::Bool(false) if own == Value::Bool(false) => {}
                Value::Bool(false) if has_patterns(reader) => {
                    self.undecided(format!("whether `{name}` matches a pattern of names cannot be decided"));
                }
                Value::Bool(false) => self.certain(format!("the property `{name}` is not allowed any more")),
                others => self.at(name, &own, others),
            },
            (None, Some(asked)) => match rest(&writer.0) {
                // Closed: nobody writes it. Open and silent: nobody writes it either, on trust.
                Value::Bool(_) => {}
                kind => self.at(name, kind, &asked),
            },
            (None, None) => {}
        }
    }

    /// Patterns of names can be compared only where both sides have the same ones.
    fn patterns(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        let none = Map::new();
        let of = |side: &Map<String, Value>| {
            side.get("patternProperties").and_then(Value::as_object).unwrap_or(&none).clone()
        };
        let (own, asked) = (of(&writer.0), of(reader));
        for (pattern, asked) in &asked {
            match own.get(pattern) {
                Some(own) => self.at("*", own, asked),
                None => self.undecided(format!("which properties match `{pattern}` cannot be decided")),
            }
        }
        for (pattern, own) in &own {
            if !asked.contains_key(pattern) {
                match rest(reader) {
                    Value::Bool(true) => {}
                    Value::Bool(false) => {
                        self.certain(format!("properties that match `{pattern}` are not allowed any more"));
                    }
                    others => self.at("*", own, others),
                }
            }
        }
        let new = named(reader).any(|name| !named(&writer.0).any(|own| own == name));
        if !own.is_empty() && new {
            self.undecided("whether a property that is named now matched a pattern before cannot be decided");
        }
    }
}

fn named(side: &Map<String, Value>) -> impl Iterator<Item = &str> {
    side.get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|named| named.keys())
        .map(String::as_str)
}

/// What is said of the properties that are not named.
fn rest(side: &Map<String, Value>) -> &Value {
    side.get("additionalProperties").unwrap_or(&ANYTHING)
}

fn has_patterns(side: &Map<String, Value>) -> bool {
    side.get("patternProperties").and_then(Value::as_object).is_some_and(|patterns| !patterns.is_empty())
}

/// What the names are when nothing is said of them: those that are named, if there are no others.
fn text_schema(side: &Map<String, Value>) -> Value {
    if rest(side) == &Value::Bool(false) && !has_patterns(side) {
        return serde_json::json!({"type": "string", "enum": named(side).collect::<Vec<_>>()});
    }
    serde_json::json!({"type": "string"})
}
