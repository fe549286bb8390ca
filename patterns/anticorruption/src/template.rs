//! Texts with places for values: `/stock/{sku}`. Paths escape what they are given; a value can never add a segment.

use std::fmt::Write as _;

use dozen_mapping::{Limits, Mapping, Options, Value};

use crate::problem::Problem;

/// Places of one text.
const PLACES_MAX: usize = 32;

/// A text with places.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value { name: String, rule: Mapping },
}

impl Template {
    /// Compiles a text over the input that `options` say; a brace that is text is written twice.
    pub(crate) fn parse(text: &str, at: &str, options: &Options<'_>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            plain.push_str(&rest[..place]);
            let brace = &rest[place..=place];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = (brace == "{").then(|| rest.split_once('}')).flatten() else {
                return Err(format!("a `{brace}` stands alone; a brace that is text is written twice"));
            };
            if parts.len() >= 2 * PLACES_MAX {
                return Err(format!("there are more than {PLACES_MAX} places"));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            let rule = Value::object([
                ("from", Value::text(name)),
                ("as", "text".into()),
                ("required", true.into()),
            ]);
            let rule = Mapping::rule(&rule, at, options).map_err(|mistakes| mistakes.to_string())?;
            parts.push(Part::Value { name: name.to_owned(), rule });
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The text for these values, each of them `written`.
    fn fill(
        &self,
        values: &Value,
        limits: &Limits,
        written: fn(&str, &mut String),
    ) -> Result<String, Problem> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { name, rule } => {
                    let found = rule.apply(values, limits).map_err(|failure| {
                        Problem::untranslatable(format!("`{{{name}}}`: {}", failure.problem))
                    })?;
                    written(found.value.as_text().unwrap_or_default(), &mut out);
                }
            }
        }
        Ok(out)
    }

    /// As part of a path: each value is one piece of a segment, whatever signs it has.
    pub(crate) fn path(&self, values: &Value, limits: &Limits) -> Result<String, Problem> {
        let path = self.fill(values, limits, escape)?;
        // A value of dots alone would walk up.
        match path.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
            true => Err(Problem::invalid("a value makes a path that leads elsewhere")),
            false => Ok(path),
        }
    }

    /// As it is.
    pub(crate) fn text(&self, values: &Value, limits: &Limits) -> Result<String, Problem> {
        self.fill(values, limits, |value, out| out.push_str(value))
    }
}

fn escape(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            other => drop(write!(out, "%{other:02X}")),
        }
    }
}
