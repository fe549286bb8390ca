//! The caller's own SQL, inside the caller's own transaction.

use crate::Error;

/// One SQL value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number; booleans are 0 and 1.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => $to:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                ($to)(value)
            }
        })*
    };
}

value_from! {
    i64 => Value::Integer,
    i32 => |value| Value::Integer(i64::from(value)),
    u32 => |value| Value::Integer(i64::from(value)),
    bool => |value| Value::Integer(i64::from(value)),
    f64 => Value::Real,
    String => Value::Text,
    &str => |value: &str| Value::Text(value.to_owned()),
    &String => |value: &String| Value::Text(value.clone()),
    Vec<u8> => Value::Blob,
    &[u8] => |value: &[u8]| Value::Blob(value.to_vec()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement and its parameters, `?1`, `?2`, …
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// The parameters.
    pub params: Vec<Value>,
}

impl Statement {
    /// At most this many rows come back; a query that has more is refused rather than cut.
    pub const ROWS_MAX: usize = 100_000;

    /// A statement with its parameters.
    pub fn new(sql: impl Into<String>, params: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), params: params.into_iter().collect() }
    }

    /// The start of the text, for an error message. Parameters never appear in one.
    pub fn excerpt(&self) -> String {
        self.sql.chars().take(120).collect()
    }
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The whole number in column `at`, counted from 0.
    pub fn integer(&self, at: usize) -> Result<i64, Error> {
        match self.0.get(at) {
            Some(Value::Integer(number)) => Ok(*number),
            other => Err(Error::Invalid(format!("column {at} is no whole number but {other:?}"))),
        }
    }

    /// The text in column `at`, counted from 0.
    pub fn text(&self, at: usize) -> Result<&str, Error> {
        match self.0.get(at) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(Error::Invalid(format!("column {at} is no text but {other:?}"))),
        }
    }
}

/// The parameters of a statement: `params![id, total]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::Value::from($value)),*] };
}
