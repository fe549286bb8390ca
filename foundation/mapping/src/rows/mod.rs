//! Formats of rows and pairs: delimited, of fixed width, and forms.
//!
//! Rows are a list of objects, one member a column, and all values are texts. A row that has other columns than its
//! header, or a line of another length than its layout, is an error with the number of the row: a shifted row reads
//! like a right one.

mod csv;
mod fixed;
mod form;

pub use csv::Csv;
pub use fixed::{Align, Column, Fixed, Short, Unit};
pub(crate) use form::{decode as decode_form, encode as encode_form};

use crate::error::EncodeError;
use crate::value::Value;

/// What a cell holds.
fn cell(row: usize, column: &str, value: Option<&Value>) -> Result<String, EncodeError> {
    let wrong = |problem: String| EncodeError::new(format!("[{row}].{column}"), problem);
    match value {
        Some(Value::Text(text)) => Ok(text.to_string()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(truth)) => Ok(truth.to_string()),
        Some(Value::Null) => Ok(String::new()),
        Some(other) => {
            Err(wrong(format!("a cell is a text, a number or a boolean, and this is {}", other.kind())))
        }
        None => Err(wrong("this column has no value; null leaves it empty".into())),
    }
}

/// The rows of a value, with the columns they may have.
fn rows<'v>(value: &'v Value, columns: &[&str]) -> Result<Vec<&'v crate::value::Object>, EncodeError> {
    let Value::List(rows) = value else {
        return Err(EncodeError::new("", format!("rows are a list, and this is {}", value.kind())));
    };
    let object = |(at, row): (usize, &'v Value)| match row {
        Value::Object(object) => match object.iter().find(|(name, _)| !columns.contains(&&***name)) {
            None => Ok(object),
            Some((name, _)) => Err(EncodeError::new(format!("[{at}].{name}"), "there is no such column")),
        },
        other => Err(EncodeError::new(
            format!("[{at}]"),
            format!("a row is an object, and this is {}", other.kind()),
        )),
    };
    rows.iter().enumerate().map(object).collect()
}
