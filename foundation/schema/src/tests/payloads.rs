//! Schemas and payloads.

use dozen_core::Diagnose;
use proptest::prelude::*;

use crate::{SCHEMA_MAX, Schema, SchemaError, VIOLATIONS_MAX};

fn schema(text: &str) -> Schema {
    Schema::compile(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const ORDER: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "total": {"type": "number", "minimum": 0},
        "at": {"type": "string", "format": "date-time"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1}
    },
    "required": ["total", "items"],
    "$defs": {"item": {"type": "object", "properties": {"sku": {"type": "string", "pattern": "^[a-z]+$"}}}}
}"##;

#[test]
fn a_payload_that_fits_is_accepted_and_another_is_told_where_it_does_not() {
    let order = schema(ORDER);
    assert_eq!(
        order.validate(br#"{"total": 1.5, "items": [{"sku": "a"}], "at": "2026-01-31T12:00:00Z"}"#),
        Ok(())
    );
    let paths = |payload: &str| -> Vec<String> {
        let violations = order.validate(payload.as_bytes()).unwrap_err();
        let mut paths: Vec<String> = violations.into_iter().map(|violation| violation.path).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(r#"{"items": []}"#), ["", "/items"]);
    assert_eq!(paths(r#"{"total": -1, "items": [{"sku": "A"}]}"#), ["/items/0/sku", "/total"]);
    assert_eq!(paths(r#"{"total": 1, "items": [{}], "at": "yesterday"}"#), ["/at"]);
    let broken = order.validate(b"{\"total\"").unwrap_err();
    assert_eq!(broken[0].to_string(), "it is no JSON, at line 1, column 8");
}

#[test]
fn violations_are_few_and_tell_no_values() {
    let list = schema(r#"{"items": {"type": "integer", "maximum": 5}}"#);
    let payload = serde_json::to_vec(&vec!["hunter2"; 1000]).unwrap();
    let violations = list.validate(&payload).unwrap_err();
    assert_eq!(violations.len(), VIOLATIONS_MAX);
    let secrets = [r#"["hunter2"]"#, "[77123]", r#"[{"pin": "hunter2"}]"#];
    let schemas = [
        r#"{"items": {"type": "boolean"}}"#,
        r#"{"items": {"const": 1}}"#,
        r#"{"items": {"enum": [1, 2]}}"#,
        r#"{"items": {"anyOf": [{"type": "null"}, {"maxLength": 2, "maximum": 2, "maxProperties": 0}]}}"#,
        r#"{"items": {"pattern": "^x$", "multipleOf": 10, "properties": {"pin": {"minLength": 99}}}}"#,
        r#"{"items": {"not": {}}}"#,
        r#"{"contains": {"type": "null"}}"#,
        r#"{"items": {"format": "date", "exclusiveMaximum": 3, "additionalProperties": false}}"#,
    ];
    for text in schemas {
        for payload in secrets {
            for violation in schema(text).validate(payload.as_bytes()).err().into_iter().flatten() {
                let told = violation.to_string();
                assert!(!told.contains("hunter2") && !told.contains("77123"), "{text}: {told}");
            }
        }
    }
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let refused = |text: &str| Schema::compile(text.as_bytes()).unwrap_err();
    assert!(matches!(refused("{"), SchemaError::NotJson(_)));
    assert!(matches!(refused(&" ".repeat(SCHEMA_MAX + 1)), SchemaError::TooLarge { .. }));
    let wrong = refused(r#"{"properties": {"total": {"type": "money"}}}"#);
    assert!(
        matches!(&wrong, SchemaError::Invalid { path, .. } if path == "/properties/total/type"),
        "{wrong}"
    );
    assert_eq!(wrong.page(), "invalid-schema");
    assert!(matches!(refused("7"), SchemaError::Invalid { .. }));
    assert!(matches!(refused(r#"{"pattern": "("}"#), SchemaError::Invalid { .. }));
    assert!(matches!(refused(r##"{"$ref": "#/$defs/none"}"##), SchemaError::Invalid { .. }));
}

#[test]
fn nothing_outside_the_document_is_fetched() {
    for reference in
        ["https://example.com/order.json", "file:///etc/passwd", "other.json", "http://127.0.0.1:9/x"]
    {
        let text = serde_json::json!({"$ref": reference}).to_string();
        assert!(matches!(Schema::compile(text.as_bytes()), Err(SchemaError::Invalid { .. })), "{reference}");
    }
    assert!(Schema::compile(br#"{"$schema": "https://example.com/my-draft"}"#).is_err());
}

#[test]
fn a_schema_that_contains_itself_is_followed_as_far_as_the_payload_goes() {
    let tree = schema(
        r##"{"type": "object", "properties": {"left": {"$ref": "#"}}, "additionalProperties": false}"##,
    );
    assert!(tree.validate(br#"{"left": {"left": {}}}"#).is_ok());
    assert_eq!(tree.validate(br#"{"left": {"right": {}}}"#).unwrap_err()[0].path, "/left");
    // One that is nothing but itself says nothing, and must not end the program.
    if let Ok(circle) = Schema::compile(br##"{"$ref": "#"}"##) {
        let _ = circle.validate(b"1");
    }
}

proptest! {
    #[test]
    fn no_text_panics(schema in "[\\[\\]{}\":,a-z0-9$#/ ]{0,40}", payload in ".{0,20}") {
        if let Ok(schema) = Schema::compile(schema.as_bytes()) {
            let _ = schema.validate(payload.as_bytes());
        }
    }
}
