//! What is refused before any document is seen.

use serde_json::json;

use super::{mistakes, yaml};
use crate::{Mapping, OnError, Options};

#[test]
fn a_field_that_may_fail_says_what_happens_then() {
    for (field, mistake) in [
        (
            "Item/Price",
            "map.p: `Item/Price` may be missing, and `Item/Price` may be there several times; say what happens then: \
             `required: true` fails the translation, `default:` stands in, and `count: optional` leaves the field out",
        ),
        (
            "{ from: P, as: decimal, count: optional }",
            "map.p: `P` may be no decimal; say what happens then: `required: true` fails the translation, `default:` and \
             `on-error:` do not",
        ),
        (
            "{ from: P, count: optional, enum: { A: a } }",
            "map.p: `P` may be a word that `enum` does not list",
        ),
        ("{ each: { from: P, as: date } }", "map.p: `P` may be no date"),
        ("{ template: '{a}' }", "map.p: `a` may be missing, and `a` may be no single text"),
        ("{ jq: .a }", "map.p: the program may fail, or give nothing"),
        ("{ value: 1, when: item.a }", "map.p: `when` may be undecided"),
        ("{ from: [a, b] }", "map.p: each of its sources may be missing"),
    ] {
        let found = mistakes(&format!("{{ p: {field} }}"));
        assert!(found.starts_with(mistake), "{field}: {found}");
    }
    for field in [
        "P!",
        "P?",
        "'P[*]'",
        "{ from: P, required: true }",
        "{ from: P, default: 1 }",
        "{ from: P, on-error: omit }",
        "{ from: P, on-error: fail }",
        "{ from: P, count: optional }",
        "{ from: P, count: many }",
        "{ value: 1 }",
        "{ from: P, count: optional, enum: { A: a, _: error } }",
        "{ each: { from: P, as: date, on-error: omit } }",
        "{ each: P, map: { a: 'a!' } }",
        "{ from: P, as: date, required: true }",
        "{ value: 1, when: item.a, on-error: omit }",
    ] {
        super::table(&format!("{{ p: {field} }}"));
    }
}

#[test]
fn one_word_for_the_whole_table_is_a_word_for_each_field() {
    let options = Options { on_error: Some(OnError::Fail), ..Options::default() };
    let table = yaml::read("{ a: a, b: { from: b, as: integer } }");
    let mapping = Mapping::table(&table, "map", &options).unwrap();
    assert_eq!(super::made(&mapping, &super::value(r#"{"b":1}"#)), "! `a` from `a`: nothing is there");
    let options = Options { on_error: Some(OnError::Omit), ..Options::default() };
    let mapping = Mapping::table(&table, "map", &options).unwrap();
    assert_eq!(super::made(&mapping, &super::value(r#"{"b":"x"}"#)), "{}");
}

#[test]
fn mistakes_have_their_place_and_what_would_be_right() {
    for (table, mistake) in [
        ("{ p: { form: a } }", "map.p: there is no key `form`; did you mean `from`?"),
        (
            "{ p: { street: a } }",
            "map.p: there is no key `street`; an object of fields is written `{ map: { … } }`",
        ),
        ("{ p: { from: a, as: int } }", "map.p.as: there is no conversion `int`; did you mean `integer`?"),
        (
            "{ p: { from: a, as: decimla } }",
            "map.p.as: there is no conversion `decimla`; did you mean `decimal`?",
        ),
        (
            "{ p: { from: a, as: 'decimal(two)' } }",
            "map.p.as: `two` means nothing here; there are a number of digits",
        ),
        ("{ p: { from: a, as: 'decimal(implied)' } }", "map.p.as: `implied` needs the number of digits"),
        ("{ p: { from: a, as: money } }", "map.p.as: `money` needs a currency: `money(EUR)`"),
        ("{ p: { from: a, as: 'money(euro)' } }", "map.p.as: `euro` is no currency"),
        (
            "{ p: { from: a, as: 'boolean(Y)' } }",
            "map.p.as: `boolean` takes a word for true and another for false",
        ),
        (
            "{ p: { from: a, as: 'date(\"dd.MM\")' } }",
            "map.p.as: the pattern needs a year, a month and a day",
        ),
        ("{ p: { from: a, as: 'date(\"DD.MM.yyyy\")' } }", "map.p.as: `DD` means nothing in a pattern"),
        (
            "{ p: { from: a, as: 'timestamp(\"dd.MM.yyyy HH:mm\")' } }",
            "map.p.as: the pattern has no offset, so it needs a zone",
        ),
        (
            "{ p: { from: a, as: 'timestamp(\"dd.MM.yyyy\", UTC)' } }",
            "map.p.as: the pattern has no time of the day",
        ),
        (
            "{ p: { from: a, as: 'timestamp(\"dd.MM.yyyy HH:mm\", Europe/Berln)' } }",
            "map.p.as: there is no zone `Europe/Berln`",
        ),
        ("{ p: { from: a, as: 'date(epoch)' } }", "map.p.as: which day a moment is depends on the zone"),
        ("{ p: { from: 'a..b' } }", "map.p.from: a name is missing before `.b`"),
        ("{ p: { from: 'a b' } }", "map.p.from: `a b` is no name; a name with other signs stands in quotes"),
        ("{ p: { from: 'a[x]' } }", "map.p.from: `[x]` is no index; write `[0]`, or `[*]` for all"),
        ("{ p: { from: a, when: 'itm.x' } }", "map.p.when: line 1, column 1:"),
        ("{ p: { from: a, value: 1 } }", "map.p: `from` and `value` are two sources"),
        (
            "{ p: { from: a, as: text, enum: { A: b } } }",
            "map.p: `as` and `enum` are two ways to make its value",
        ),
        ("{ p: { as: text } }", "map.p: it says nothing of where its value is from"),
        (
            "{ p: { from: a, required: true, default: 1 } }",
            "map.p: `required: true` fails the translation, so neither",
        ),
        ("{ p: { from: a, on-error: default } }", "map.p: `on-error: default` needs a `default`"),
        ("{ p: { from: a, on-error: ignore } }", "map.p.on-error: it is `fail`, `default`, `omit` or `null`"),
        ("{ p: { from: a, count: all } }", "map.p.count: it is `one`, `optional` or `many`"),
        ("{ p: { each: { map: { a: 'b!' } } } }", "map.p.each: `from` is missing"),
        ("{ p: { each: { from: a, mpa: {} } } }", "map.p.each: there is no key `mpa`; did you mean `map`?"),
        ("{ p: { template: 'x {a' } }", "map.p.template: a `{` is not closed"),
        ("{ p: { template: x } }", "map.p.template: a template without `{path}` is a `value`"),
        (
            "{ p: 3 }",
            "map.p: a rule is a path or an object, and this is a number; a constant is written `{ value: … }`",
        ),
        ("{ p: { map: {} } }", "map.p.map: there are no fields"),
        ("{}", "map: there are no fields"),
        ("[]", "map: a table is an object of fields, and this is a list"),
    ] {
        let found = mistakes(table);
        assert!(found.starts_with(mistake), "{table}:\n  {found}");
    }
    let both = mistakes("{ a: { from: x }, b: { from: y, as: nothing } }");
    assert_eq!(both.lines().count(), 2, "{both}");
}

fn checked(table: &str, input: serde_json::Value, output: serde_json::Value) -> String {
    let options = Options { input: Some(&input), output: Some(&output), on_error: None };
    match Mapping::table(&yaml::read(table), "map", &options) {
        Ok(_) => "ok".into(),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn a_schema_of_the_input_proves_what_is_there() {
    let input = json!({
        "type": "object", "required": ["id", "price", "items", "day", "kind", "who"], "additionalProperties": false,
        "$defs": {"who": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "properties": {
            "id": {"type": "integer"}, "price": {"type": "number"}, "note": {"type": "string"},
            "maybe": {"type": ["string", "null"]}, "day": {"type": "string", "format": "date"},
            "kind": {"enum": ["A", "B"]}, "who": {"$ref": "#/$defs/who"},
            "items": {"type": "array", "items": {
                "type": "object", "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}
            }}
        }
    });
    let any = json!({});
    for table in [
        "{ a: id, b: { from: id, as: integer }, c: { from: price, as: decimal }, d: { from: day, as: date } }",
        "{ a: { from: price, as: 'decimal(2, half-even)' }, b: { from: id, as: 'money(EUR)' }, c: { from: id, as: text } }",
        "{ a: { from: kind, enum: { A: 1, B: 2 } }, b: who.name, c: { template: '{id} {who.name}' }, d: 'items[*].sku' }",
        "{ a: { each: items, map: { sku: sku, id: $.id } }, b: { from: who, map: { n: name, id: '^.id' } } }",
    ] {
        assert_eq!(checked(table, input.clone(), any.clone()), "ok", "{table}");
    }
    for (table, mistake) in [
        ("{ a: note }", "map.a: `note` may be missing; say"),
        ("{ a: maybe }", "map.a: `maybe` may be missing; say"),
        ("{ a: { from: price, as: integer } }", "map.a: `price` may be no integer"),
        ("{ a: { from: price, as: 'decimal(2)' } }", "map.a: `price` may be no decimal"),
        ("{ a: { from: kind, enum: { A: 1 } } }", "map.a: `kind` may be a word that `enum` does not list"),
        ("{ a: { each: items, map: { n: n } } }", "map.a.map.n: `n` may be missing"),
        (
            "{ a: items }",
            "map.a.from: `items` is a list in the input; `count: many` gives a list, and `[0]` one of it",
        ),
        ("{ a: items.sku }", "map.a.from: `items.sku` is a list in the input"),
        ("{ a: 'pric!' }", "map.a.from: the input has no `pric`, its schema says; did you mean `price`?"),
        ("{ a: 'items[0].sku' }", "map.a: `items[0].sku` may be missing"),
    ] {
        let found = checked(table, input.clone(), any.clone());
        assert!(found.starts_with(mistake), "{table}:\n  {found}");
    }
}

#[test]
fn a_choice_in_the_schema_proves_nothing() {
    let input = json!({"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}});
    assert!(checked("{ a: a }", input, json!({})).starts_with("map.a: `a` may be missing"));
    let input = json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/loop"}}, "$defs": {"loop": {"$ref": "#/$defs/loop"}}});
    assert!(checked("{ a: a }", input, json!({})).starts_with("map.a: `a` may be missing"));
}

#[test]
fn a_schema_of_the_output_refuses_what_it_does_not_have() {
    let output = json!({
        "type": "object", "required": ["sku", "price"],
        "properties": {
            "sku": {"type": "string"}, "n": {"type": "integer"}, "note": {"type": "string"},
            "price": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "string"}, "currency": {}}},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}}
        }
    });
    let right = "{ sku: { from: s, as: text, required: true }, price: { from: p, as: 'money(EUR)', required: true },
        n: { from: n, as: integer, default: 0 }, lines: { each: l, map: { n: { from: n, as: integer, required: true } } } }";
    assert_eq!(checked(right, serde_json::Value::Null, output.clone()), "ok");
    for (field, mistake) in [
        ("skuu: 's!'", "map.skuu: the output has no `skuu`; did you mean `sku`?"),
        (
            "n: { from: n, as: decimal, required: true }",
            "map.n: it gives a number, and the output has integer",
        ),
        (
            "n: { from: n, as: integer, default: none }",
            "map.n.default: it gives a string, and the output has integer",
        ),
        (
            "note: { from: n, as: text, on-error: null }",
            "map.note.on-error: it gives null, and the output has string",
        ),
        ("note: 'a[*]'", "map.note: it gives an array, and the output has string"),
        ("lines: { each: l, map: { x: 'x!' } }", "map.lines.map.x: the output has no `x`"),
        (
            "lines: { each: l, map: { n: { from: n, as: text, required: true } } }",
            "map.lines.map.n: it gives a string",
        ),
        ("n: { value: x }", "map.n: it gives a string, and the output has integer"),
    ] {
        let table =
            format!("{{ sku: 's!', price: {{ from: p, as: 'money(EUR)', required: true }}, {field} }}");
        let found = checked(&table, serde_json::Value::Null, output.clone());
        assert!(found.lines().any(|line| line.starts_with(mistake)), "{field}:\n  {found}");
    }
    let found = checked("{ sku: 's?', n: { value: 1 } }", serde_json::Value::Null, output);
    assert!(found.contains("map: the output requires `price`, and no field gives it"), "{found}");
    assert!(
        found.contains("map.sku: the output requires it, and it may be left out; `required: true`"),
        "{found}"
    );
}
