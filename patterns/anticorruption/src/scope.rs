//! Names: which there can be, and which of them tables may refer to.

use serde_json::{Value as Json, json};

use crate::error::Gathered;
use crate::options::TranslatorOptions;
use crate::plan::INPUT;

/// What tables over the input and the results of calls may refer to.
pub(crate) fn of(options: &TranslatorOptions) -> Json {
    let required: Vec<&str> =
        options.calls.iter().filter(|(_, call)| !call.optional).map(|(name, _)| &**name).collect();
    let names = options.calls.keys().map(String::as_str).chain([INPUT]);
    let mut scope = object(names, &[&[INPUT][..], &required].concat());
    if let Some(input) = &options.input
        // A reference would look for its target from another root.
        && !input.to_string().contains("$ref")
    {
        scope["properties"][INPUT] = input.clone();
    }
    scope
}

/// An object of these members and no others; nothing is known of what stands behind their names.
pub(crate) fn object<'n>(names: impl Iterator<Item = &'n str>, required: &[&str]) -> Json {
    let properties: serde_json::Map<_, _> = names.map(|name| (name.to_owned(), json!({}))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Names are steps of paths and labels.
pub(crate) fn check_name(name: &str, at: &str, gathered: &mut Gathered) {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    // A translator may be named after a provider and an operation.
    let pieces = if at.starts_with("translators") && !at.contains(".calls.") {
        name.split('.')
    } else {
        name.split('\0')
    };
    let mut pieces = pieces
        .map(|piece| piece.starts_with(|sign: char| sign.is_ascii_alphabetic()) && piece.chars().all(plain));
    if name.len() > 64 || !pieces.all(|is_name| is_name) {
        gathered.add(at, "a name has up to 64 letters, digits, `-` and `_`, and begins with a letter");
    }
}
