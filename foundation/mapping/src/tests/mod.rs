//! What the pieces promise, and the page on the language, whose examples are run.

mod checks;
mod documents;
mod hostile;
mod numbers;
mod page;
mod programs;
mod reverse;
mod rows;
mod strange;
mod tables;
mod yaml;

use crate::{Format, Limits, Mapping, Options, Value, json};

/// A value, from JSON.
fn value(text: &str) -> Value {
    json::read(text, &Limits::default()).unwrap()
}

/// A format, from the YAML of a translator.
fn format(text: &str) -> Format {
    Format::parse(&yaml::read(text), "in").unwrap()
}

/// A table that compiles, from YAML.
fn table(text: &str) -> Mapping {
    Mapping::table(&yaml::read(text), "map", &Options::default())
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// What is wrong with a table, from YAML.
fn mistakes(text: &str) -> String {
    match Mapping::table(&yaml::read(text), "map", &Options::default()) {
        Ok(_) => panic!("it compiles: {text}"),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// What a table makes of a value, as JSON.
fn made(mapping: &Mapping, input: &Value) -> String {
    match mapping.apply(input, &Limits::default()) {
        Ok(translated) => json::write(&translated.value),
        Err(failure) => format!("! {failure}"),
    }
}
