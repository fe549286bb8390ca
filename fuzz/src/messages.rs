//! Messages and what they are held against: a message says the same in each form, and no schema is slow.

use std::time::{Duration, Instant};

use dozen_core::Message;
use dozen_schema::{BREAKS_MAX, Mode, Schema, VIOLATIONS_MAX, compatible};

pub(crate) const MESSAGE_WORDS: &[&str] = &[
    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"",
    "\"data\":",
    "\"data_base64\":\"AP8H\"",
    "\"datacontenttype\":\"text/plain\"",
    "\"datacontenttype\":\"application/json\"",
    "\"dataschema\":\"urn:x\"",
    "\"subject\":\" a \"",
    "\"time\":\"2026-01-31T12:00:00.123456789+01:00\"",
    "\"partitionkey\":\"k\"",
    "\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"",
    "\"x\":1",
    "\"x\":true",
    "\"x\":null",
    "\"x\":\"%41\\u0000\"",
    "{",
    "}",
    ",",
    "1e400",
    "-0",
    "0.10",
    "%",
    "\\r\\n",
];
pub(crate) const SCHEMA_WORDS: &[&str] = &[
    "{\"type\":\"object\"}",
    "\"properties\":{",
    "\"additionalProperties\":",
    "\"patternProperties\":{\"^(a+)+$\":",
    "\"required\":[\"total\"]",
    "\"items\":",
    "\"$ref\":\"#\"",
    "\"$ref\":\"#/$defs/a\"",
    "\"$ref\":\"https://example.com/a\"",
    "\"$dynamicRef\":\"#a\"",
    "\"$defs\":{\"a\":",
    "\"allOf\":[",
    "\"anyOf\":[",
    "\"oneOf\":[",
    "\"not\":",
    "\"if\":",
    "\"unevaluatedProperties\":false",
    "\"pattern\":\"(a*)*b\"",
    "\"pattern\":\"\\\\p{L}{1000}\"",
    "\"format\":\"email\"",
    "\"multipleOf\":1e-300",
    "\"minimum\":",
    "\"enum\":[",
    "\"$schema\":\"http://json-schema.org/draft-07/schema#\"",
    "true",
    "false",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
];

/// No input of a few kilobytes may take so long, on the slowest machine.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A message that is taken is the same after a way in its structured form, and says the same in its binary form.
pub(crate) fn message(bytes: &[u8]) {
    let Ok(message) = Message::from_json(bytes) else { return };
    let written = message.to_json();
    let shown = || String::from_utf8_lossy(&written).into_owned();
    let again = Message::from_json(&written).unwrap_or_else(|error| panic!("{error}: {}", shown()));
    assert_eq!(again, message, "{}", shown());
    // What no header can hold is refused where it would have to be one.
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let kind = message.content_type.as_deref().unwrap_or("application/json");
    let is_plain =
        !kind.starts_with(' ') && !kind.ends_with(' ') && kind.bytes().all(|byte| (32..127).contains(&byte));
    let is_event = kind.to_ascii_lowercase().contains("cloudevents");
    if !is_plain || is_event || !message.extensions.keys().all(|name| is_name(name) && name != "specversion")
    {
        return;
    }
    let headers = message.to_headers();
    for (name, value) in &headers {
        assert!(value.bytes().all(|byte| (32..127).contains(&byte)), "{name}: {value:?}");
        assert_eq!(value.trim(), value, "`{name}` loses its blanks on the way");
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let read = Message::from_http(pairs, message.data.clone()).unwrap().unwrap();
    let texts = |message: &Message| -> Vec<(String, String)> {
        message.extensions.iter().map(|(name, value)| (name.clone(), value.text())).collect()
    };
    assert_eq!(
        (&read.id, &read.source, &read.kind, &read.subject, read.time, &read.data_schema, texts(&read)),
        (
            &message.id,
            &message.source,
            &message.kind,
            &message.subject,
            message.time,
            &message.data_schema,
            texts(&message)
        )
    );
}

/// A schema that compiles decides the same each time, and in time; it breaks nobody who has it already for certain.
pub(crate) fn schema(bytes: &[u8]) {
    let begun = Instant::now();
    let Ok(schema) = Schema::compile(bytes) else { return };
    for payload in PAYLOADS {
        let first = schema.validate(payload.as_bytes());
        assert_eq!(schema.validate(payload.as_bytes()), first, "{payload}");
        assert!(first.is_ok() || (1..=VIOLATIONS_MAX).contains(&first.unwrap_err().len()));
    }
    let breaks = compatible(&schema, &schema, Mode::Full);
    assert!(breaks.len() <= BREAKS_MAX);
    assert!(breaks.iter().all(|one| !one.certain), "it breaks itself: {breaks:?}");
    assert!(begun.elapsed() < TIME_MAX, "it took {:?}", begun.elapsed());
}

const PAYLOADS: [&str; 6] = [
    "null",
    "[1, 2.50, \"x\", [[[]]]]",
    r#"{"total": 150, "items": [{"sku": "a", "count": 3}, {"sku": "b"}], "email": "ada@example.org"}"#,
    r#"{"a": {"a": {"a": {"a": {}}}}}"#,
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
    "123456789012345678901234567890.5",
];
