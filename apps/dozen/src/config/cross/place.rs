//! Where in a file something stands that a pattern refuses, and whether it is worth asking the pattern at all.

use super::super::diagnostic::Span;
use super::super::item::{Item, Value};

/// Whether nothing in it was wrong by itself.
pub(super) fn is_whole(item: &Item) -> bool {
    match &item.value {
        Value::Off => false,
        Value::Map(fields) => fields.iter().all(|field| is_whole(&field.item)),
        Value::List(items) => items.iter().all(is_whole),
        _ => true,
    }
}

/// Where the value or the name stands that reads so, and the placeholder that it came from.
pub(super) fn place_of(item: &Item, text: &str) -> Option<(Span, Option<String>)> {
    match &item.value {
        Value::Text(own) if own == text => Some((item.span, item.placeholder.clone())),
        Value::Map(fields) => fields.iter().find_map(|field| {
            let named = (field.name == text).then_some((field.span, None));
            named.or_else(|| place_of(&field.item, text))
        }),
        Value::List(items) => items.iter().find_map(|item| place_of(item, text)),
        _ => None,
    }
}
