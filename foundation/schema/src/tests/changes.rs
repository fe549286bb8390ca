//! Changes of what a schema says itself, each with what it breaks.

use serde_json::json;

use super::table::{Breaks, Fits, Open, object, table};

#[test]
fn types_widen_and_narrow() {
    table(&[
        (json!({"type": "integer"}), json!({"type": "number"}), Fits, Breaks("", "number was allowed")),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            Fits,
            Breaks("", "null was allowed"),
        ),
        (json!({"type": "string"}), json!({"type": "integer"}), Breaks("", "string"), Breaks("", "integer")),
        (json!({}), json!({"type": "string"}), Breaks("", "only string"), Fits),
        (json!(true), json!(false), Breaks("", "nothing is allowed"), Fits),
        (
            object(json!({"a": {"properties": {"b": {"type": "string"}}}})),
            object(json!({"a": {"properties": {"b": {"type": "boolean"}}}})),
            Breaks("/a/b", "string was allowed"),
            Breaks("/a/b", "false, true was allowed"),
        ),
        (json!({"type": "string", "title": "a"}), json!({"type": "string", "description": "b"}), Fits, Fits),
    ]);
}

#[test]
fn required_is_added_and_removed() {
    let (loose, strict) = (json!({"type": "object"}), json!({"type": "object", "required": ["id"]}));
    table(&[
        (loose.clone(), strict.clone(), Breaks("", "`id` is required now"), Fits),
        (strict, loose, Fits, Breaks("", "`id` is required now")),
    ]);
}

#[test]
fn values_are_added_and_removed() {
    table(&[
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["a", "b", "c"]}),
            Fits,
            Breaks("", "\"c\" was allowed"),
        ),
        (json!({"const": 1}), json!({"enum": [1, 2]}), Fits, Breaks("", "2 was allowed")),
        (json!({"enum": [1, 2]}), json!({"type": "integer"}), Fits, Breaks("", "only some")),
        (json!({"type": "string"}), json!({"enum": ["a"]}), Breaks("", "only some"), Fits),
        (json!({"type": "string", "maxLength": 1}), json!({"enum": ["a"]}), Open("", "list of values"), Fits),
        (
            json!({"enum": [1, "a"]}),
            json!({"type": "string"}),
            Breaks("", "1 was allowed"),
            Breaks("", "only some"),
        ),
        (json!({"type": "boolean"}), json!({"enum": [true, false]}), Fits, Fits),
        (json!({"enum": [1, 9], "maximum": 5}), json!({"const": 1}), Fits, Fits),
    ]);
}

#[test]
fn properties_come_and_go() {
    let open = object(json!({"a": {"type": "string"}}));
    let more = object(json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    let closed =
        json!({"properties": {"a": {"type": "string"}}, "type": "object", "additionalProperties": false});
    let closed_more = json!({
        "properties": {"a": {"type": "string"}, "b": {}}, "type": "object", "additionalProperties": false
    });
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    table(&[
        (open.clone(), more.clone(), Fits, Fits),
        (open.clone(), closed.clone(), Breaks("", "it was open"), Fits),
        (closed.clone(), closed_more, Fits, Breaks("", "the property `b` is not allowed")),
        (closed, open.clone(), Fits, Breaks("", "it was open")),
        (
            texts.clone(),
            json!({"type": "object", "additionalProperties": {"type": ["string", "null"]}}),
            Fits,
            Breaks("/*", "null was allowed"),
        ),
        // A map of texts may hold a text under the name that is now a number.
        (
            texts.clone(),
            json!({"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties":
            {"type": "string"}}),
            Breaks("/n", "string was allowed"),
            Breaks("/n", "number was allowed"),
        ),
        (
            json!({"type": "object", "maxProperties": 2}),
            json!({"type": "object", "maxProperties": 3}),
            Fits,
            Breaks("", "at most 2 properties"),
        ),
        (
            json!({"type": "object", "propertyNames": {"maxLength": 5}}),
            json!({"type": "object"}),
            Fits,
            Breaks("/*", "at most 5 characters"),
        ),
        (
            json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}}}),
            json!({"type": "object", "patternProperties": {"^x": {"type": "number"}}}),
            Fits,
            Breaks("/*", "number"),
        ),
        (
            json!({"type": "object", "patternProperties": {"^x": {}}}),
            json!({"type": "object", "patternProperties":
            {"^y": {}}}),
            Open("", "match `^y`"),
            Open("", "match `^x`"),
        ),
    ]);
}

#[test]
fn numbers_and_texts_have_bounds() {
    table(&[
        (
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "integer", "minimum": 0}),
            Fits,
            Breaks("", "below 1"),
        ),
        (
            json!({"type": "integer", "minimum": 5}),
            json!({"type": "integer", "exclusiveMinimum": 4}),
            Fits,
            Fits,
        ),
        (
            json!({"type": "number", "minimum": 5}),
            json!({"type": "number", "exclusiveMinimum": 5}),
            Breaks("", "below 5"),
            Fits,
        ),
        (json!({"type": "number", "maximum": 5}), json!({"type": "number"}), Fits, Breaks("", "above 5")),
        (
            json!({"type": "integer", "multipleOf": 4}),
            json!({"type": "integer", "multipleOf": 2}),
            Fits,
            Breaks("", "multiples of 4"),
        ),
        (
            json!({"type": "string", "maxLength": 5}),
            json!({"type": "string", "maxLength": 9}),
            Fits,
            Breaks("", "at most 5 characters"),
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "minLength": 1}),
            Breaks("", "at least 1 characters"),
            Fits,
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "^a"}),
            Breaks("", "the pattern"),
            Fits,
        ),
        (
            json!({"type": "string", "pattern": "^a"}),
            json!({"type": "string", "pattern": "^[ab]"}),
            Open("", "cannot be decided"),
            Open("", "cannot be decided"),
        ),
        (
            json!({"type": "string", "format": "date"}),
            json!({"type": "string"}),
            Fits,
            Breaks("", "the format"),
        ),
        // What a bound says of another type does not matter.
        (
            json!({"type": "string"}),
            json!({"type": "string", "minimum": 7, "minItems": 3, "required": ["a"]}),
            Fits,
            Fits,
        ),
    ]);
}

#[test]
fn arrays_have_elements_and_sizes() {
    table(&[
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            json!({"type": "array", "items": {"type": "number"}}),
            Fits,
            Breaks("/*", "number was allowed"),
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "uniqueItems": true}),
            Breaks("", "equal elements"),
            Fits,
        ),
        (
            json!({"type": "array", "minItems": 2}),
            json!({"type": "array", "minItems": 1}),
            Fits,
            Breaks("", "at least 2 elements"),
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}),
            json!({"type": "array", "items": {"type": ["string", "integer"]}}),
            Fits,
            Breaks("/0", "integer was allowed"),
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1}),
            json!({"type": "array", "items": {"type": "string"}}),
            Fits,
            Breaks("", "at most 1 elements"),
        ),
        (
            object(json!({"l": {"type": "array", "items": object(json!({"n": {"type": "integer"}}))}})),
            object(json!({"l": {"type": "array", "items": object(json!({"n": {"type": "string"}}))}})),
            Breaks("/l/*/n", "integer was allowed"),
            Breaks("/l/*/n", "string was allowed"),
        ),
        (
            json!({"type": "array", "contains": {"type": "null"}}),
            json!({"type": "array"}),
            Fits,
            Open("", "`contains`"),
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": ["string", "null"]}]}),
            Fits,
            Breaks("/0", "null was allowed"),
        ),
    ]);
}
