//! A table of changes, and what each breaks.

use serde_json::{Value, json};

use crate::{Break, Mode, Schema, compatible};

fn schema(document: &Value) -> Schema {
    let text = document.to_string();
    Schema::compile(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn breaks(old: &Value, new: &Value, mode: Mode) -> Vec<Break> {
    compatible(&schema(old), &schema(new), mode)
}

/// What a change breaks in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum To {
    /// Nothing.
    Fits,
    /// It breaks at this path, with these words.
    Breaks(&'static str, &'static str),
    /// It cannot be decided at this path, and these words say why.
    Open(&'static str, &'static str),
}
pub(super) use To::{Breaks, Fits, Open};

/// Checks each change in both directions: (old, new, backward, forward).
pub(super) fn table(changes: &[(Value, Value, To, To)]) {
    for (old, new, backward, forward) in changes {
        for (mode, expected) in [(Mode::Backward, backward), (Mode::Forward, forward)] {
            let found = breaks(old, new, mode);
            let told: Vec<String> = found.iter().map(ToString::to_string).collect();
            let at = format!("{old} → {new}, {mode:?}: {told:#?}");
            match expected {
                Fits => assert!(found.is_empty(), "{at}"),
                Breaks(path, words) | Open(path, words) => {
                    let certain = matches!(expected, Breaks(..));
                    let hit = |found: &Break| {
                        found.path == *path && found.certain == certain && found.problem.contains(words)
                    };
                    assert!(found.iter().any(hit), "{at}");
                }
            }
        }
    }
}

pub(super) fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}
