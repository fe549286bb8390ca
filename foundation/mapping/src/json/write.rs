//! From a tree to text.

use std::fmt::Write as _;

use super::plain;
use crate::value::Value;

/// Writes a document on one line. Numbers are written as they were read.
pub fn write(value: &Value) -> String {
    let mut text = String::with_capacity(256);
    put(value, &mut text);
    text
}

fn put(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => number.put(text),
        Value::Text(own) => quoted(own, text),
        Value::List(list) => {
            text.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                put(item, text);
            }
            text.push(']');
        }
        Value::Object(object) => {
            text.push('{');
            for (at, (name, value)) in object.written().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(name);
                put(value, text);
            }
            text.push('}');
        }
    }
}

/// Writes a text in quotes.
pub(crate) fn quoted(own: &str, text: &mut String) {
    text.push('"');
    let mut rest = own;
    loop {
        let (as_it_is, special) = rest.split_at(plain(rest.as_bytes()));
        text.push_str(as_it_is);
        let Some(byte) = special.bytes().next() else { break };
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            _ => {
                let _ = write!(text, "\\u{byte:04x}");
            }
        }
        rest = &special[1..];
    }
    text.push('"');
}
