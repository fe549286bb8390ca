//! What is personal is masked before anything of a real answer is kept.
//!
//! A mask keeps the shape: letters become `x` or `X`, digits `1`, all other signs stay. So a date is a date still
//! (`1985-03-24` is `1111-11-11`), and the example goes on to show what it shows.

use std::sync::Arc;

use dozen_mapping::{Number, Value};

/// Pieces of names that look personal, or secret.
const PERSONAL: [&str; 24] = [
    "mail",
    "phone",
    "mobile",
    "fax",
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "session",
    "iban",
    "account",
    "card",
    "birth",
    "firstname",
    "lastname",
    "surname",
    "fullname",
    "street",
    "address",
    "passport",
    "ssn",
];

/// Which members are masked.
#[derive(Debug)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| plain(name)).collect())
    }

    fn covers(&self, name: &str) -> bool {
        // A prefix and an `@` are of XML, and say nothing.
        let name = plain(name.rsplit_once(':').map_or(name, |(_, local)| local));
        self.0.contains(&name) || PERSONAL.iter().any(|piece| name.contains(piece))
    }

    /// The same value, masked. A text without a name, the whole document, is masked, too.
    pub(super) fn over(&self, value: &Value) -> Value {
        match value {
            Value::Object(_) | Value::List(_) => self.within(value),
            plain => masked(plain),
        }
    }

    fn within(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) => Value::object(object.iter().map(|(name, value)| {
                let value = if self.covers(name) { masked(value) } else { self.within(value) };
                (Arc::clone(name), value)
            })),
            Value::List(list) => Value::List(list.iter().map(|value| self.within(value)).collect()),
            other => other.clone(),
        }
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Every leaf below is masked.
fn masked(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::text(text.chars().map(sign).collect::<String>()),
        Value::Number(number) => {
            let text: String = number.to_string().chars().map(sign).collect();
            // An exponent may have become something else; its value is what is to be hidden.
            Number::parse(&text).map_or_else(|| Value::from(1), Value::Number)
        }
        Value::List(list) => Value::List(list.iter().map(masked).collect()),
        Value::Object(object) => {
            Value::object(object.iter().map(|(name, value)| (Arc::clone(name), masked(value))))
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn sign(sign: char) -> char {
    match sign {
        sign if sign.is_numeric() => '1',
        sign if sign.is_uppercase() => 'X',
        sign if sign.is_alphabetic() => 'x',
        other => other,
    }
}
