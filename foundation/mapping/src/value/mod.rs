//! A tree of data in which nothing is rounded.
//!
//! It is JSON's tree with two differences. A number is its decimal text, so `12.30`, `0.1` and
//! `12345678901234567890` come out as they went in; and an object keeps the order of its members, which matters in XML
//! and to people. Short texts stand in the tree itself, long ones and names are shared: to copy a part of a tree copies
//! no text that takes memory of its own.

mod number;
mod object;
mod serde;
mod shape;

use std::sync::Arc;

pub use number::{Decimal, Number};
pub(crate) use number::{Rounding, scan as number_scan};
pub use object::Object;
pub(crate) use shape::Shape;
/// A text that does not change: up to 23 bytes stand in it, more are shared.
pub use smol_str::SmolStr as Text;
pub(crate) use smol_str::SmolStrBuilder as TextBuilder;

/// A piece of data of any format.
///
/// Two values are equal when they are the same text: the numbers `1.0` and `1.00` differ, and so do objects whose
/// members stand in another order. [`Value::means`] compares what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing, said so.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number, exact.
    Number(Number),
    /// Text.
    Text(Text),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in order.
    Object(Object),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// An object of these members; of members with the same name the last one counts.
    pub fn object<N: Into<Arc<str>>>(members: impl IntoIterator<Item = (N, Value)>) -> Self {
        let mut object = Object::default();
        for (name, value) in members {
            object.insert(name.into(), value);
        }
        Self::Object(object)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// In a sentence: "it is a …".
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Whether both mean the same: numbers by what they count, objects without the order of their members.
    pub fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.equals(other),
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.means(other))
            }
            (Self::Object(one), Self::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| value.means(other)))
            }
            _ => self == other,
        }
    }

    /// How many values it is made of, itself among them.
    pub fn nodes(&self) -> usize {
        1 + match self {
            Self::List(list) => list.iter().map(Self::nodes).sum::<usize>(),
            Self::Object(object) => object.iter().map(|(_, value)| value.nodes()).sum(),
            _ => 0,
        }
    }

    /// The same as serde_json has it, for those who only look at it: a condition, a JSON Schema. A decimal is the
    /// nearest binary number there, and members are sorted.
    pub fn approximate(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Number(number) => number.approximate(),
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(list) => Json::Array(list.iter().map(Self::approximate).collect()),
            Self::Object(object) => Json::Object(
                object.iter().map(|(name, value)| (name.to_string(), value.approximate())).collect(),
            ),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}
