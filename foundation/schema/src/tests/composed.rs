//! Changes behind references and in alternatives, what cannot be decided, and the modes.

use serde_json::{Value, json};

use super::table::{Breaks, Fits, Open, breaks, object, table};
use crate::{Direction, Mode};

#[test]
fn references_and_parts_stand_for_what_is_behind_them() {
    let point = |kind: &str| json!({"$ref": "#/$defs/p", "$defs": {"p": {"type": kind}}});
    let tree = |kind: &str| {
        json!({"type": "object", "properties": {"value": {"type": kind}, "next": {"$ref": "#"}},
            "additionalProperties": false})
    };
    table(&[
        (point("integer"), point("number"), Fits, Breaks("", "number was allowed")),
        (point("integer"), json!({"type": "integer"}), Fits, Fits),
        (tree("integer"), tree("number"), Fits, Breaks("/value", "number was allowed")),
        (
            json!({"allOf": [{"type": "object"}, {"required": ["a"]}]}),
            json!({"type": "object", "required": ["a"]}),
            Fits,
            Fits,
        ),
        (
            json!({"allOf": [{"minimum": 1}, {"minimum": 3}], "type": "integer"}),
            json!({"type": "integer", "minimum": 2}),
            Fits,
            Breaks("", "below 3"),
        ),
        // Beside a reference, draft 7 reads nothing.
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "maximum": 5,
                "definitions": {"a": {"type": "integer"}}}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer", "maximum": 5}),
            Breaks("", "above 5"),
            Fits,
        ),
    ]);
}

#[test]
fn alternatives_are_compared_where_one_fits() {
    let text_or = |kind: &str| json!({"anyOf": [{"type": "string"}, {"type": kind}]});
    let event = |kinds: &[&str]| {
        let one = |kind: &&str| json!({"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]});
        json!({"oneOf": kinds.iter().map(one).collect::<Vec<_>>()})
    };
    table(&[
        (json!({"type": "string"}), text_or("null"), Fits, Breaks("", "null was allowed")),
        (json!({"type": ["string", "null"]}), text_or("null"), Fits, Fits),
        (text_or("integer"), text_or("number"), Fits, Open("", "every number")),
        (event(&["a", "b"]), event(&["a", "b", "c"]), Fits, Open("", "no single alternative")),
        (
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3}], "title": "a"}),
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3}], "title": "b"}),
            Fits,
            Fits,
        ),
        (
            json!({"type": "integer"}),
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3}]}),
            Open("", "exactly one"),
            Breaks("", "was allowed"),
        ),
    ]);
}

#[test]
fn what_is_not_understood_is_a_break_with_its_reason() {
    let with = |keyword: &str, value: Value| json!({"type": "object", keyword: value});
    for (keyword, value) in [
        ("not", json!({"required": ["a"]})),
        ("if", json!({"required": ["a"]})),
        ("dependentRequired", json!({"a": ["b"]})),
        ("dependentSchemas", json!({"a": {"required": ["b"]}})),
        ("unevaluatedProperties", json!(false)),
    ] {
        let found = breaks(&with("title", json!("")), &with(keyword, value.clone()), Mode::Backward);
        assert!(
            found.iter().any(|found| !found.certain && found.problem.contains(keyword)),
            "{keyword}: {found:?}"
        );
        assert!(breaks(&with(keyword, value.clone()), &with("title", json!("")), Mode::Backward).is_empty());
        let remark = json!({"type": "object", keyword: value, "title": "the same"});
        assert!(breaks(&with(keyword, value), &remark, Mode::Full).is_empty(), "{keyword}");
    }
    table(&[
        (
            json!({"type": "string"}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}),
            Open("", "draft"),
            Open("", "draft"),
        ),
        (
            json!({"properties": {"a": {"$id": "http://x/a", "type": "string"}}}),
            json!({"properties": {}}),
            Open("", "`$id`"),
            Open("", "`$id`"),
        ),
    ]);
}

#[test]
fn a_mode_protects_its_readers() {
    let (narrow, wide) = (json!({"type": "integer"}), json!({"type": "number"}));
    assert!(breaks(&narrow, &wide, Mode::None).is_empty());
    let full = breaks(&narrow, &wide, Mode::Full);
    assert_eq!(full.len(), 1);
    assert_eq!(full[0].direction, Direction::Forward);
    assert_eq!(
        full[0].to_string(),
        "old readers of new messages, at `/`: number was allowed, and now only integer is"
    );
    assert!(breaks(&narrow, &narrow, Mode::Full).is_empty());
}

#[test]
fn a_large_or_deep_change_ends() {
    let mut deep = (json!({"type": "integer"}), json!({"type": "string"}));
    for _ in 0..50 {
        deep = (object(json!({"a": deep.0})), object(json!({"a": deep.1})));
    }
    let found = breaks(&deep.0, &deep.1, Mode::Full);
    assert!(!found.is_empty() && found.iter().all(|found| !found.certain), "{found:?}");
    let many = |kind: &str| {
        let properties: serde_json::Map<String, Value> =
            (0..1000).map(|name| (format!("p{name}"), json!({"type": kind}))).collect();
        object(properties.into())
    };
    assert_eq!(breaks(&many("string"), &many("number"), Mode::Full).len(), crate::BREAKS_MAX);
    let branching = |bound: u32| {
        let choice = json!({"anyOf": [{"minimum": bound}, {"maxLength": 3}, {"maxItems": bound}]});
        (0..8).fold(choice.clone(), |inner, _| json!({"anyOf": [{"items": inner.clone()}, inner, choice]}))
    };
    assert!(!breaks(&branching(1), &branching(2), Mode::Backward).is_empty());
}
