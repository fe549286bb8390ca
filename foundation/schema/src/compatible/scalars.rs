//! Types, values, numbers and texts.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shape::{Shape, types_of};
use super::walk::Walk;
use crate::schema::validator;

/// How many values are named in a sentence.
const NAMED_MAX: usize = 5;

impl Walk<'_> {
    /// All that the reader's schema says of each type that the writer's allows.
    pub(super) fn types(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        let allowed = writer.types();
        if let Some(kind) = reader.get("type") {
            let accepted = types_of(kind);
            let refused: Vec<&str> = allowed.difference(&accepted).copied().collect();
            if !refused.is_empty() {
                self.certain(format!(
                    "{} was allowed, and now only {} is",
                    list(&refused),
                    list_set(&accepted)
                ));
                return;
            }
        }
        if reader.contains_key("enum") || reader.contains_key("const") {
            if writer.0.keys().all(|keyword| keyword == "type") {
                self.certain("it had no list of values, and now only some are allowed");
            } else {
                self.undecided("whether its list of values has all that was allowed cannot be decided");
            }
            return;
        }
        if allowed.contains("integer") {
            self.numbers(writer, reader);
        }
        if allowed.contains("string") {
            self.texts(writer, reader);
        }
        if allowed.contains("array") {
            self.arrays(writer, reader);
        }
        if allowed.contains("object") {
            self.objects(writer, reader);
        }
    }

    /// Where the writer's values can be counted, each is simply tried.
    pub(super) fn values(&mut self, values: &[Value], writer: &Shape, reader: &Map<String, Value>) {
        // References, `allOf` and whole keywords have been compared on their own.
        let mut alone = reader.clone();
        for done in ["$ref", "allOf", "$dynamicRef", "$recursiveRef", "$schema", "$id"] {
            alone.remove(done);
        }
        let (Ok(writes), Ok(reads)) = (
            validator(&with_root(writer.to_schema(), self.writer)),
            validator(&with_root(alone.into(), self.reader)),
        ) else {
            return self
                .undecided("its values could not be tried, because of a reference that leads elsewhere");
        };
        let refused: Vec<String> = values
            .iter()
            .filter(|value| writes.is_valid(value) && !reads.is_valid(value))
            .map(ToString::to_string)
            .collect();
        if !refused.is_empty() {
            let named: Vec<&str> = refused.iter().map(String::as_str).take(NAMED_MAX).collect();
            let more = if refused.len() > NAMED_MAX { " and more" } else { "" };
            self.certain(format!("{}{more} was allowed, and is not now", list(&named)));
        }
    }

    fn numbers(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        let reader = Shape(reader.clone());
        if [&writer.0, &reader.0].iter().any(|side| {
            ["exclusiveMinimum", "exclusiveMaximum"]
                .iter()
                .any(|word| side.get(*word).is_some_and(Value::is_boolean))
        }) {
            return self.undecided("`exclusiveMinimum` and `exclusiveMaximum` are numbers since draft 6");
        }
        let whole = !writer.types().contains("number");
        let (low, reader_low) = (lowest(writer, whole), lowest(&reader, whole));
        if reader_low > low {
            self.certain(format!("numbers below {} are refused now", reader_low.0));
        }
        let (high, reader_high) = (highest(writer, whole), highest(&reader, whole));
        if reader_high < high {
            self.certain(format!("numbers above {} are refused now", reader_high.0));
        }
        if let Some(step) = reader.number("multipleOf") {
            let fits = match writer.number("multipleOf") {
                Some(own) => own == step || (own.fract() == 0.0 && step.fract() == 0.0 && own % step == 0.0),
                None => whole && step.fract() == 0.0 && step == 1.0,
            };
            if !fits {
                self.certain(format!("only multiples of {step} are allowed now"));
            }
        }
    }

    fn texts(&mut self, writer: &Shape, reader: &Map<String, Value>) {
        self.sizes(writer, reader, "minLength", "maxLength", "characters");
        for keyword in ["pattern", "format"] {
            match (writer.0.get(keyword), reader.get(keyword)) {
                (_, None) => {}
                (Some(own), Some(asked)) if own == asked => {}
                (None, Some(asked)) => self.certain(format!("the {keyword} {asked} is asked for now")),
                (Some(own), Some(asked)) => {
                    self.undecided(format!(
                        "whether the {keyword} {asked} takes all that {own} takes cannot be decided"
                    ));
                }
            }
        }
    }

    /// A smallest and a largest count of something.
    pub(super) fn sizes(
        &mut self,
        writer: &Shape,
        reader: &Map<String, Value>,
        least: &str,
        most: &str,
        noun: &str,
    ) {
        let count = |side: &Map<String, Value>, keyword: &str| side.get(keyword).and_then(Value::as_f64);
        if let Some(asked) = count(reader, least)
            && asked > writer.number(least).unwrap_or(0.0)
        {
            self.certain(format!("at least {asked} {noun} are asked for now"));
        }
        if let Some(asked) = count(reader, most)
            && writer.number(most).is_none_or(|own| asked < own)
        {
            self.certain(format!("at most {asked} {noun} are allowed now"));
        }
    }
}

/// A lower bound and whether it is itself out of bounds; larger is narrower.
fn lowest(side: &Shape, whole: bool) -> (f64, bool) {
    let closed = side.number("minimum").map(|bound| (if whole { bound.ceil() } else { bound }, false));
    let open = side.number("exclusiveMinimum").map(|bound| match whole {
        true => (bound.floor() + 1.0, false),
        false => (bound, true),
    });
    let narrower = |left: (f64, bool), right: (f64, bool)| if right > left { right } else { left };
    closed.into_iter().chain(open).fold((f64::NEG_INFINITY, false), narrower)
}

/// An upper bound and whether it is itself within bounds; smaller is narrower.
fn highest(side: &Shape, whole: bool) -> (f64, bool) {
    let closed = side.number("maximum").map(|bound| (if whole { bound.floor() } else { bound }, true));
    let open = side.number("exclusiveMaximum").map(|bound| match whole {
        true => (bound.ceil() - 1.0, true),
        false => (bound, false),
    });
    let narrower = |left: (f64, bool), right: (f64, bool)| if right < left { right } else { left };
    closed.into_iter().chain(open).fold((f64::INFINITY, true), narrower)
}

/// A part on its own, with the definitions that its references lead to.
fn with_root(mut part: Value, root: &Value) -> Value {
    if let Some(members) = part.as_object_mut() {
        for name in ["$defs", "definitions", "$schema"] {
            if let Some(definitions) = root.get(name) {
                members.entry(name).or_insert_with(|| definitions.clone());
            }
        }
    }
    part
}

pub(super) fn list(words: &[&str]) -> String {
    words.join(", ")
}

fn list_set(words: &BTreeSet<&str>) -> String {
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => list(&words.iter().copied().collect::<Vec<_>>()),
    }
}
