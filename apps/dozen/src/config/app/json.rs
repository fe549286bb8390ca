//! A checked tree as JSON, in the words of the options that are read from it.

use serde_json::Value as Json;

use super::super::item::{Field, Item, Value};
use super::super::scalar;

/// The whole tree.
pub(super) fn json(item: &Item) -> Json {
    match &item.value {
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(fields) => fields.iter().map(|field| (field.name.clone(), member(field))).collect(),
        _ => single(item),
    }
}

/// What is no list and no mapping, as JSON.
pub(super) fn single(item: &Item) -> Json {
    match &item.value {
        Value::Off => Json::Null,
        Value::Text(text) | Value::Secret(text) => text.as_str().into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Number(number) | Value::Size(number) => (*number).into(),
        Value::Duration(duration) => scalar::show_duration(*duration).into(),
        Value::Json { value, .. } => value.clone(),
        _ => item.shown().into(),
    }
}

/// `per: { by: consumer }` is `per: consumer` in the gateway's words.
fn member(field: &Field) -> Json {
    match field.item.fields() {
        [by] if field.name == "per" && by.name == "by" => json(&by.item),
        _ => json(&field.item),
    }
}
