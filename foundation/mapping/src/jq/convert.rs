//! Our values as jq's, and back.

use jaq_core::ValT as _;
use jaq_json::{Map, Num, Rc, Val};

use super::JqError;
use crate::limits::Limits;
use crate::value::{Number, Object, Value};

pub(super) fn into_jq(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Number(own) => match own.as_i64().and_then(|whole| isize::try_from(whole).ok()) {
            Some(whole) => Val::from(whole),
            None => number(&own.to_string()).unwrap_or_default(),
        },
        Value::Text(text) => text_of(text),
        Value::List(list) => Val::Arr(Rc::new(list.iter().map(into_jq).collect())),
        Value::Object(object) => {
            let members: Map = object.iter().map(|(name, value)| (text_of(name), into_jq(value))).collect();
            Val::obj(members)
        }
    }
}

fn text_of(text: &str) -> Val {
    Val::utf8_str(text.as_bytes().to_vec())
}

/// A number of JSON's grammar: whole ones as such, all others as their text.
pub(super) fn number(text: &str) -> jaq_json::ValR {
    Val::from_num(text)
}

pub(super) fn from_jq(value: &Val, limits: &Limits) -> Result<Value, JqError> {
    let mut left = limits.nodes;
    back(value, limits.depth(), &mut left)
}

fn back(value: &Val, depth: usize, left: &mut usize) -> Result<Value, JqError> {
    *left = left.checked_sub(1).ok_or(JqError::TooMuchWork)?;
    let inner = depth.checked_sub(1).ok_or(JqError::NoJson);
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Num(Num::Float(_)) => return Err(JqError::Inexact),
        Val::Num(own) => Value::Number(Number::parse(&own.to_string()).ok_or(JqError::NoJson)?),
        Val::TStr(text) => Value::text(plain(text)?),
        Val::BStr(_) => return Err(JqError::NoJson),
        Val::Arr(list) => {
            let inner = inner?;
            Value::List(list.iter().map(|item| back(item, inner, left)).collect::<Result<_, _>>()?)
        }
        Val::Obj(members) => {
            let inner = inner?;
            let mut object = Object::with_capacity(members.len());
            for (name, value) in members.iter() {
                let Val::TStr(name) = name else { return Err(JqError::NoJson) };
                object.insert(plain(name)?.into(), back(value, inner, left)?);
            }
            Value::Object(object)
        }
    })
}

fn plain(text: &[u8]) -> Result<&str, JqError> {
    std::str::from_utf8(text).map_err(|_| JqError::NoJson)
}
