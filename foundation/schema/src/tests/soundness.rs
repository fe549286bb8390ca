//! Whatever is called compatible is: random schemas, random changes of them, and payloads that try to disagree.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Mode, Schema, compatible};

/// A small generator: schemas and payloads have to be made to fit each other, which strategies cannot do well.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.roll(values.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "c"];
const KINDS: &[&str] = &["string", "integer", "number", "boolean", "null", "array", "object"];

/// A schema that says of every object what it may hold besides what it names, so that nothing is taken on trust.
fn schema(dice: &mut Dice, depth: usize) -> Value {
    let mut made = Map::new();
    let kinds = if depth == 0 { &KINDS[..5] } else { KINDS };
    let kind = *dice.one_of(kinds);
    let other = *dice.one_of(kinds);
    made.insert(
        "type".into(),
        if dice.roll(4) == 0 && kind != other { json!([kind, other]) } else { json!(kind) },
    );
    // Said even where no object is allowed: a change may allow it.
    made.insert("additionalProperties".into(), json!(false));
    for _ in 0..dice.roll(3) {
        add_keyword(dice, &mut made, depth);
    }
    made.into()
}

fn add_keyword(dice: &mut Dice, made: &mut Map<String, Value>, depth: usize) {
    let small = dice.roll(4);
    let inner = depth.saturating_sub(1);
    let (keyword, value) = match dice.roll(if depth == 0 { 11 } else { 22 }) {
        0 => ("minimum", json!(small)),
        1 => ("maximum", json!(small + 1)),
        2 => ("exclusiveMinimum", json!(small as f64 - 0.5)),
        3 => ("exclusiveMaximum", json!(small + 2)),
        4 => ("multipleOf", dice.one_of(&[json!(1), json!(2), json!(0.5)]).clone()),
        5 => ("minLength", json!(small.min(2))),
        6 => ("maxLength", json!(small)),
        7 => ("pattern", dice.one_of(&[json!("^a"), json!("b$"), json!("a")]).clone()),
        8 => ("enum", json!([payload(dice, 1), payload(dice, 1), small])),
        9 => ("const", payload(dice, 1)),
        10 => ("enum", json!(["a", "ab", 1, 2, null])),
        11 => ("items", schema(dice, inner)),
        12 => ("prefixItems", json!([schema(dice, inner), schema(dice, inner)])),
        13 => {
            (*dice.one_of(&["minItems", "maxItems", "minProperties", "maxProperties"]), json!(small.min(2)))
        }
        14 => ("uniqueItems", json!(true)),
        15 => {
            let mut named = Map::new();
            for name in &NAMES[..1 + dice.roll(3)] {
                named.insert((*name).into(), schema(dice, inner));
            }
            ("properties", named.into())
        }
        16 => ("required", json!([dice.one_of(NAMES)])),
        17 => ("additionalProperties", schema(dice, inner)),
        18 => (*dice.one_of(&["anyOf", "oneOf", "allOf"]), json!([schema(dice, inner), schema(dice, inner)])),
        19 => (*dice.one_of(&["not", "if", "then", "contains", "propertyNames"]), schema(dice, inner)),
        20 => ("patternProperties", json!({*dice.one_of(&["^a", "b"]): schema(dice, inner)})),
        _ => ("$ref", json!("#/$defs/d")),
    };
    made.insert(keyword.into(), value);
}

/// Changes something small somewhere.
fn change(dice: &mut Dice, value: &mut Value) {
    let Value::Object(members) = value else { return };
    let inner: Vec<String> = members
        .iter()
        .filter(|(_, value)| value.is_object() || value.is_array())
        .map(|(name, _)| name.clone())
        .collect();
    if !inner.is_empty() && dice.roll(2) == 0 {
        match members.get_mut(dice.one_of(&inner)) {
            Some(Value::Array(parts)) if !parts.is_empty() => {
                let at = dice.roll(parts.len());
                if dice.roll(6) == 0 { drop(parts.remove(at)) } else { change(dice, &mut parts[at]) }
            }
            Some(part) => change(dice, part),
            None => {}
        }
        return;
    }
    let names: Vec<String> = members.keys().cloned().collect();
    match dice.roll(5) {
        0 if !names.is_empty() => drop(members.remove(dice.one_of(&names))),
        1 => add_keyword(dice, members, 1),
        2 => drop(members.insert("type".into(), json!([dice.one_of(KINDS), dice.one_of(KINDS)]))),
        _ => {
            for value in members.values_mut() {
                if let Some(number) = value.as_i64() {
                    *value = json!((number + dice.roll(3) as i64 - 1).max(0));
                }
            }
        }
    }
}

/// Any small payload.
fn payload(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 5 } else { 9 }) {
        0 => json!(null),
        1 => json!(dice.roll(2) == 0),
        2 => json!(*dice.one_of(&["", "a", "ab", "b", "abb"])),
        3 => json!(dice.roll(7) as i64 - 1),
        4 => json!(dice.roll(14) as f64 / 2.0 - 0.5),
        5 | 6 => Value::Array((0..dice.roll(4)).map(|_| payload(dice, depth - 1)).collect()),
        _ => {
            let mut made = Map::new();
            for name in NAMES {
                if dice.roll(2) == 0 {
                    made.insert((*name).into(), payload(dice, depth - 1));
                }
            }
            made.into()
        }
    }
}

/// A payload that is likely to fit.
fn fitting(dice: &mut Dice, schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(members) = schema.as_object().filter(|_| depth > 0 && dice.roll(8) > 0) else {
        return payload(dice, depth);
    };
    let ways: Vec<&Value> = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|word| members.get(*word)?.as_array())
        .flatten()
        .chain(members.get("$ref").and(root.pointer("/$defs/d")))
        .chain(members.get("const").is_some().then_some(schema))
        .collect();
    if let Some(value) = members.get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = members.get("enum")
        && !values.is_empty()
    {
        return dice.one_of(values).clone();
    }
    if !ways.is_empty() && dice.roll(2) == 0 {
        let way = *dice.one_of(&ways);
        return fitting(dice, way, root, depth - 1);
    }
    let any = json!({});
    match members.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(dice.roll(2))?.as_str())) {
        Some("array") => (0..dice.roll(4))
            .map(|at| {
                let by_place = members.get("prefixItems").and_then(|first| first.get(at));
                fitting(dice, by_place.or(members.get("items")).unwrap_or(&any), root, depth - 1)
            })
            .collect(),
        Some("object") => {
            let mut made = Map::new();
            for name in NAMES {
                let named = members.get("properties").and_then(|named| named.get(*name));
                let others = members.get("additionalProperties").filter(|others| others.is_object());
                if let Some(kind) = named.or(others)
                    && dice.roll(3) > 0
                {
                    made.insert((*name).into(), fitting(dice, kind, root, depth - 1));
                }
            }
            made.into()
        }
        Some("string") => json!(*dice.one_of(&["", "a", "ab", "b", "abb", "ba"])),
        Some("integer") => json!(dice.roll(7) as i64 - 1),
        Some("number") => json!(dice.roll(14) as f64 / 2.0 - 0.5),
        Some("boolean") => json!(dice.roll(2) == 0),
        Some("null") => json!(null),
        _ => payload(dice, depth),
    }
}

fn compiled(document: &Value) -> Option<Schema> {
    Schema::compile(document.to_string().as_bytes()).ok()
}

proptest! {
    #[test]
    fn what_is_called_compatible_refuses_nothing_that_was_accepted(seed: u64, changes in 0_usize..4) {
        let mut dice = Dice(seed);
        let mut old = schema(&mut dice, 3);
        old["$defs"] = json!({"d": schema(&mut dice, 1)});
        let mut new = old.clone();
        for _ in 0..changes {
            change(&mut dice, &mut new);
        }
        if let (Some(writer), Some(reader)) = (compiled(&old), compiled(&new))
            && compatible(&writer, &reader, Mode::Backward).is_empty()
        {
            for _ in 0..60 {
                let payload = fitting(&mut dice, &old, &old, 4);
                if writer.validate_value(&payload).is_ok() {
                    let refused = reader.validate_value(&payload).err();
                    prop_assert!(refused.is_none(), "{old}\n{new}\n{payload}\n{refused:?}");
                }
            }
        }
    }
}
