//! Compilers: what they take is quick and says the same each time, and what they refuse they refuse at once.

use std::time::{Duration, Instant};

use dozen_core::Message;
use dozen_expression::{Expression, Scope};
use dozen_mapping::{Limits, Mapping, OnError, Options, Value, json};

/// No input of a few kilobytes may keep a compiler or what it made for so long, on the slowest machine.
const TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) const CEL_WORDS: &[&str] = &[
    "message.",
    "data.",
    "type",
    " == ",
    " && ",
    " || ",
    "!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "?",
    ":",
    "'a'",
    "r'\\d+'",
    "1",
    "1u",
    "1.5e300",
    "-9223372036854775808",
    "has(",
    ".matches('(a+)+$')",
    ".all(x, ",
    ".exists(x, x",
    ".map(x, [x, x])",
    ".filter(x, true)",
    "size(",
    "duration('1s')",
    "timestamp('2026-01-01T00:00:00Z')",
    "string(",
    "in ",
    "b'\\x00'",
    "\"\"\"",
];
pub(crate) const MAPPING_WORDS: &[&str] = &[
    "{\"map\":",
    "{\"from\":",
    "{\"each\":",
    "{\"jq\":",
    "{\"value\":",
    "\"to\":",
    "\"default\":",
    "\"on-error\":\"omit\"",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"a.b[0]\"",
    "\"$\"",
    "\"..\"",
    "\"def f: f; f\"",
    "\"[limit(1e9; repeat(1))]\"",
    "\"when\":",
    "\"enum\":",
    "\"text\":",
    "\"number\":",
    "\"required\":true",
    "\"format\":",
    "\\u0000",
    "1e999",
];

fn in_time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() < TIME_MAX, "{what} took {:?}", begun.elapsed());
    done
}

/// An expression that compiles decides the same about the same message each time.
pub(crate) fn cel(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = in_time("compiling for a text", || Expression::compile_text(text, Scope::message()));
    let Ok(expression) = in_time("compiling", || Expression::for_messages(text)) else { return };
    assert_eq!(expression.text(), text);
    let data = br#"{"total": 12.5, "items": [{"sku": "a", "count": 3}, {"sku": "b"}], "text": "aaaaaaaaaaaaaaaaaaaa"}"#;
    let message = Message::new("1", "/fuzz", "order.placed").with_key("k").with_data(None, data.to_vec());
    let first = in_time("deciding", || expression.matches(&message));
    let second = Expression::for_messages(text).unwrap().matches(&message);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

/// A table that compiles makes the same of the same document each time, and of bounded size.
pub(crate) fn mapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = Limits { size: 64 * 1024, nodes: 5000, steps: 50_000, jq_work: 50_000, ..Limits::default() };
    let Ok(table) = json::read(text, &limits) else { return };
    let input = json::read(INPUT, &limits).unwrap();
    for on_error in [None, Some(OnError::Omit)] {
        let options = Options { on_error, ..Options::default() };
        let compile =
            || Mapping::rule(&table, "map", &options).or_else(|_| Mapping::table(&table, "map", &options));
        let Ok(mapping) = in_time("compiling", compile) else { continue };
        let translate = || mapping.apply(&input, &limits).ok().map(|made| made.value);
        let Some(made) = in_time("translating", translate) else { continue };
        assert_eq!(translate().as_ref(), Some(&made), "it makes something else of the same document");
        let written = json::write(&made);
        assert_eq!(json::read(&written, &Limits::default()).unwrap(), made, "{written}");
        let _: Value = made;
    }
}

const INPUT: &str = r#"{"id": 7, "a": {"b": [1, 2.50, "x"]}, "name": "Ada", "none": null, "yes": true,
    "lines": [{"sku": "a", "count": 3}, {"sku": "b", "count": 1e3}], "when": "2026-01-31T12:00:00Z"}"#;
