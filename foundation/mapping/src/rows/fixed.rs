//! Rows whose columns have their places.

use std::sync::Arc;

use encoding_rs::Encoding;
use serde::Deserialize;

use super::{cell, rows};
use crate::charset::Charset;
use crate::error::{DecodeError, EncodeError, Position};
use crate::limits::Limits;
use crate::value::{Object, Shape, Value};

/// The most places of a row.
const PLACES_MAX: usize = 1024 * 1024;

/// The layout of a row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fixed {
    /// The columns. Two of them may share a place when rows are read: records of several kinds.
    pub columns: Vec<Column>,
    /// What places count.
    #[serde(default)]
    pub unit: Unit,
    /// The length of a row, where it is longer than its last column. Without line ends, rows follow each other.
    #[serde(default)]
    pub length: Option<usize>,
    /// Whether each row is a line.
    #[serde(default = "yes")]
    pub lines: bool,
    /// What a line is that ends before its last column.
    #[serde(default)]
    pub short: Short,
}

fn yes() -> bool {
    true
}

/// A column of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where it begins, from 1; without it, where the one before ends.
    #[serde(default)]
    pub at: Option<usize>,
    /// How many places it has.
    pub width: usize,
    /// Which character fills it up, and is taken away again.
    #[serde(default = "blank")]
    pub pad: char,
    /// On which side its text stands.
    #[serde(default)]
    pub align: Align,
}

fn blank() -> char {
    ' '
}

/// On which side of a column its text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// The padding follows it.
    #[default]
    Left,
    /// The padding stands before it.
    Right,
}

/// What places count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes, whatever the charset.
    Bytes,
    /// Characters.
    #[default]
    Characters,
}

/// What a line is that ends before its last column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Short {
    /// An error.
    #[default]
    Refuse,
    /// A line whose blanks at the end were cut off.
    Blank,
}

impl Fixed {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.columns.is_empty() {
            return Err("a layout has columns".into());
        }
        for (at, column) in self.columns.iter().enumerate() {
            let name = &column.name;
            if self.columns[..at].iter().any(|other| other.name == *name) {
                return Err(format!("the column `{name}` is there twice"));
            }
            if column.width == 0 || column.at == Some(0) {
                return Err(format!("the column `{name}` has a width, and places count from 1"));
            }
        }
        match self.length {
            Some(length) if length < self.end() => {
                Err(format!("the last column ends at {}, and the length is {length}", self.end()))
            }
            length if length.unwrap_or(self.end()) > PLACES_MAX => {
                Err(format!("a row has at most {PLACES_MAX} places"))
            }
            _ => Ok(()),
        }
    }

    /// The places of each column, from 0.
    fn places(&self) -> impl Iterator<Item = (&Column, usize)> {
        self.columns.iter().scan(0_usize, |next, column| {
            let start = column.at.map_or(*next, |at| at.saturating_sub(1));
            *next = start.saturating_add(column.width);
            Some((column, start))
        })
    }

    /// Where the last column ends.
    fn end(&self) -> usize {
        self.places().map(|(column, start)| start.saturating_add(column.width)).max().unwrap_or(0)
    }

    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        charset: &Charset,
        encoding: &'static Encoding,
        limits: &Limits,
    ) -> Result<Value, DecodeError> {
        if self.columns.len() > limits.columns {
            let (limit, at) = (limits.columns, Position::Row(1));
            return Err(DecodeError::TooMuch { what: "columns", limit, at });
        }
        let shape = Arc::new(Shape::of(self.columns.iter().map(|column| column.name.as_str().into())));
        let mut left = limits.nodes;
        let mut list = Vec::new();
        let mut take = |row: usize, object: Object| {
            let (limit, at) = (limits.nodes, Position::Row(row));
            left = left.checked_sub(object.len() + 1).ok_or(DecodeError::TooMuch {
                what: "values",
                limit,
                at,
            })?;
            list.push(Value::Object(object));
            Ok(())
        };
        match self.unit {
            Unit::Bytes => self.each(
                bytes,
                |byte| *byte,
                |row, record| {
                    let mut object = Object::like(Some(shape.clone()));
                    for (column, start) in self.places() {
                        let cell = &record[start.min(record.len())..(start + column.width).min(record.len())];
                        let cell = charset.decode(cell, encoding).map_err(|_| {
                            let problem = format!("these bytes are nothing in {}", encoding.name());
                            DecodeError::malformed(Position::Cell(row, column.name.clone()), problem)
                        })?;
                        object.push_expected(Value::text(column.strip(&cell)));
                    }
                    take(row, object)
                },
            )?,
            Unit::Characters => {
                let text: Vec<char> = charset.decode(bytes, encoding)?.chars().collect();
                let ascii = |sign: &char| u8::try_from(*sign).unwrap_or(b'?');
                self.each(&text, ascii, |row, record| {
                    let mut object = Object::like(Some(shape.clone()));
                    for (column, start) in self.places() {
                        let cell = &record[start.min(record.len())..(start + column.width).min(record.len())];
                        let cell: String = cell.iter().collect();
                        object.push_expected(Value::text(column.strip(&cell)));
                    }
                    take(row, object)
                })?;
            }
        }
        Ok(Value::List(list))
    }

    /// Goes through the records of a text, whatever its places are.
    fn each<P>(
        &self,
        text: &[P],
        byte: impl Fn(&P) -> u8,
        mut take: impl FnMut(usize, &[P]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let length = self.length.unwrap_or_else(|| self.end());
        let mut rest = text;
        let mut row = 0;
        while !rest.is_empty() {
            row += 1;
            let record = match self.lines {
                true => {
                    let end = rest.iter().position(|place| byte(place) == b'\n').unwrap_or(rest.len());
                    let line = &rest[..end];
                    rest = &rest[(end + 1).min(rest.len())..];
                    match line.last() {
                        Some(last) if byte(last) == b'\r' => &line[..line.len() - 1],
                        _ => line,
                    }
                }
                false => {
                    let (record, after) = rest.split_at(length.min(rest.len()));
                    rest = after;
                    record
                }
            };
            if self.lines && record.is_empty() {
                continue;
            }
            let short = record.len() < length && (self.short == Short::Refuse || !self.lines);
            if short || record.len() > length {
                let problem = format!("the row has {} places, and its layout {length}", record.len());
                return Err(DecodeError::malformed(Position::Row(row), problem));
            }
            take(row, record)?;
        }
        Ok(())
    }

    pub(crate) fn encode(&self, value: &Value, charset: &Charset) -> Result<Vec<u8>, EncodeError> {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let length = self.length.unwrap_or_else(|| self.end());
        let mut bytes = Vec::new();
        for (at, row) in rows(value, &names)?.into_iter().enumerate() {
            let mut record: Vec<u8> = Vec::new();
            let mut width = 0;
            for (column, start) in self.places() {
                let path = || format!("[{at}].{}", column.name);
                if start < width {
                    return Err(EncodeError::new(path(), "its place is taken by another column"));
                }
                let text = cell(at, &column.name, row.get(&column.name))?;
                if text.contains(['\n', '\r']) {
                    return Err(EncodeError::new(path(), "a line end has no place in a row"));
                }
                let blanks = " ".repeat(start - width);
                record.extend(charset.encode(blanks)?);
                let used = match self.unit {
                    Unit::Characters => text.chars().count(),
                    Unit::Bytes => charset.encode(text.clone())?.len(),
                };
                let free = column.width.checked_sub(used).ok_or_else(|| {
                    let problem =
                        format!("its text needs {used} places, and the column has {}", column.width);
                    EncodeError::new(path(), problem)
                })?;
                let padding = column.pad.to_string().repeat(free);
                let text = match column.align {
                    Align::Left => text + &padding,
                    Align::Right => padding + &text,
                };
                record.extend(charset.encode(text)?);
                width = start + column.width;
            }
            record.extend(charset.encode(" ".repeat(length - width))?);
            if self.unit == Unit::Bytes && record.len() != length {
                let problem = format!(
                    "the row has {} bytes, and its layout {length}: what fills it up is more than a byte in this charset",
                    record.len()
                );
                return Err(EncodeError::new(format!("[{at}]"), problem));
            }
            bytes.extend(record);
            if self.lines {
                bytes.extend(charset.encode("\n".to_owned())?);
            }
        }
        Ok(bytes)
    }
}

impl Column {
    /// A cell without its padding. Nothing but zeros is one zero.
    fn strip<'c>(&self, cell: &'c str) -> &'c str {
        let stripped = match self.align {
            Align::Left => cell.trim_end_matches(self.pad),
            Align::Right => cell.trim_start_matches(self.pad),
        };
        match stripped.is_empty() && self.pad == '0' && !cell.is_empty() {
            true => "0",
            false => stripped,
        }
    }
}
