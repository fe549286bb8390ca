//! Forms: `application/x-www-form-urlencoded`.

use crate::charset::Charset;
use crate::error::{DecodeError, EncodeError, Position, shown};
use crate::limits::Limits;
use crate::value::{Object, Value};

use encoding_rs::Encoding;

/// Reads pairs as an object. A name that comes again has a list.
pub(crate) fn decode(
    bytes: &[u8],
    charset: &Charset,
    encoding: &'static Encoding,
    limits: &Limits,
) -> Result<Value, DecodeError> {
    let mut object = Object::default();
    let mut at = 0;
    let mut left = limits.nodes;
    for pair in bytes.split(|byte| *byte == b'&') {
        let start = at;
        at += pair.len() + 1;
        if pair.is_empty() {
            continue;
        }
        let what = "values";
        let too_much = || DecodeError::TooMuch { what, limit: limits.nodes, at: Position::Byte(start) };
        left = left.checked_sub(1).ok_or_else(too_much)?;
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        let text = |part: &[u8]| {
            let plain = unescape(part)
                .ok_or_else(|| DecodeError::malformed(Position::Byte(start), "`%` begins no escape"))?;
            charset.decode(&plain, encoding).map(std::borrow::Cow::into_owned).map_err(|_| {
                let problem = format!("these bytes are nothing in {}", encoding.name());
                DecodeError::malformed(Position::Byte(start), problem)
            })
        };
        let (name, value) = (text(name)?, Value::text(text(value)?));
        match object.get_mut(&name) {
            Some(Value::List(list)) => list.push(value),
            Some(single) => *single = Value::List(vec![std::mem::take(single), value]),
            None => drop(object.insert(name.into(), value)),
        }
    }
    Ok(Value::Object(object))
}

fn unescape(part: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(part.len());
    let mut at = 0;
    while let Some(byte) = part.get(at) {
        match byte {
            b'+' => plain.push(b' '),
            b'%' => {
                let digit = |at: usize| char::from(*part.get(at)?).to_digit(16);
                plain.push(u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()?);
                at += 2;
            }
            byte => plain.push(*byte),
        }
        at += 1;
    }
    Some(plain)
}

/// Writes the members of an object as pairs, and each item of a list as one of its own.
pub(crate) fn encode(value: &Value, charset: &Charset) -> Result<Vec<u8>, EncodeError> {
    let Value::Object(object) = value else {
        return Err(EncodeError::new("", format!("a form is an object, and this is {}", value.kind())));
    };
    let mut bytes = Vec::new();
    for (name, value) in object.iter() {
        let values = match value {
            Value::List(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            let text = match value {
                Value::Text(text) => text.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Null => String::new(),
                other => {
                    let problem = format!("a form has texts, and this is {}", other.kind());
                    return Err(EncodeError::new(shown(name), problem));
                }
            };
            if !bytes.is_empty() {
                bytes.push(b'&');
            }
            escape(&charset.encode(name.to_string())?, &mut bytes);
            bytes.push(b'=');
            escape(&charset.encode(text)?, &mut bytes);
        }
    }
    Ok(bytes)
}

fn escape(plain: &[u8], bytes: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in plain {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => bytes.push(*byte),
            b' ' => bytes.push(b'+'),
            byte => {
                bytes.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
    }
}
