//! Delimited rows, as RFC 4180 has them.
//!
//! Readers that make the best of a stray quote turn half a file into one cell without a word. Here a quote stands around
//! a whole cell or is refused.

use std::sync::Arc;

use serde::Deserialize;

use super::{cell, rows};
use crate::error::{DecodeError, EncodeError, Position, shown};
use crate::limits::Limits;
use crate::value::{Object, Shape, Value};

/// How rows are delimited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Csv {
    /// Between cells, one ASCII character.
    pub delimiter: char,
    /// Around a cell that holds a delimiter, a quote or a line end; `null` where no cell is ever quoted.
    pub quote: Option<char>,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The columns, in order, where no header names them. With a header: columns that must be there when rows are
    /// read, and their order when they are written.
    pub columns: Vec<String>,
    /// Lines before the first row that are no rows.
    pub skip: usize,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: ',', quote: Some('"'), header: true, columns: Vec::new(), skip: 0 }
    }
}

impl Csv {
    /// What is wrong with these options, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let plain = |sign: char| sign.is_ascii() && !matches!(sign, '\n' | '\r');
        if !plain(self.delimiter) || !self.quote.is_none_or(plain) || self.quote == Some(self.delimiter) {
            return Err("`delimiter` and `quote` are one ASCII character each, and two different ones".into());
        }
        if !self.header && self.columns.is_empty() {
            return Err("without a header the columns have no names; list them as `columns`".into());
        }
        match twice(self.columns.iter().map(String::as_str)) {
            Some(name) => Err(format!("the column `{name}` is there twice")),
            None => Ok(()),
        }
    }

    pub(crate) fn decode(&self, text: &str, limits: &Limits) -> Result<Value, DecodeError> {
        let mut reader = Reader { text, at: 0, row: 0, options: self, limits, left: limits.nodes };
        for _ in 0..self.skip {
            reader.line();
        }
        let mut columns: Vec<Arc<str>> = self.columns.iter().map(|name| name.as_str().into()).collect();
        if self.header {
            let header = reader.next()?.ok_or_else(|| reader.wrong("the header is missing"))?;
            columns = header.iter().map(|name| name.trim().into()).collect();
            if let Some(name) = twice(columns.iter().map(|name| &**name)) {
                return Err(reader.wrong(format!("the column `{}` is there twice", shown(name))));
            }
            if let Some(name) = self.columns.iter().find(|name| !columns.iter().any(|own| **own == ***name)) {
                return Err(reader.wrong(format!("the column `{name}` is missing")));
            }
        }
        let shape = Arc::new(Shape::of(columns.iter().cloned()));
        let mut list = Vec::new();
        while let Some(cells) = reader.next()? {
            if cells.len() != columns.len() {
                let problem = format!("the row has {} columns, and there are {}", cells.len(), columns.len());
                return Err(reader.wrong(problem));
            }
            reader.count(columns.len() + 1)?;
            let mut object = Object::like(Some(shape.clone()));
            cells.into_iter().for_each(|cell| object.push_expected(Value::text(cell)));
            list.push(Value::Object(object));
        }
        Ok(Value::List(list))
    }

    pub(crate) fn encode(&self, value: &Value) -> Result<String, EncodeError> {
        let columns: Vec<&str> = match (self.columns.is_empty(), value) {
            (true, Value::List(rows)) => {
                let first = rows.first().and_then(Value::as_object);
                first.iter().flat_map(|row| row.iter()).map(|(name, _)| &**name).collect()
            }
            _ => self.columns.iter().map(String::as_str).collect(),
        };
        if columns.is_empty() {
            return Err(EncodeError::new("", "without `columns` and without a row nobody knows the columns"));
        }
        let mut text = String::new();
        if self.header {
            self.put(&columns, &mut text)?;
        }
        for (at, row) in rows(value, &columns)?.into_iter().enumerate() {
            let cells: Result<Vec<String>, _> =
                columns.iter().map(|name| cell(at, name, row.get(name))).collect();
            self.put(&cells?, &mut text)?;
        }
        Ok(text)
    }

    fn put<C: AsRef<str>>(&self, cells: &[C], text: &mut String) -> Result<(), EncodeError> {
        for (at, cell) in cells.iter().enumerate() {
            let cell = cell.as_ref();
            if at > 0 {
                text.push(self.delimiter);
            }
            let special =
                |sign| matches!(sign, '\n' | '\r') || sign == self.delimiter || Some(sign) == self.quote;
            // A row of one empty cell would be an empty line, which is no row.
            if !cell.contains(special) && (!cell.is_empty() || cells.len() > 1) {
                text.push_str(cell);
                continue;
            }
            let Some(quote) = self.quote else {
                return Err(EncodeError::new(
                    "",
                    "a cell holds a delimiter or a line end, and there is no `quote`",
                ));
            };
            text.push(quote);
            text.push_str(&cell.replace(quote, &format!("{quote}{quote}")));
            text.push(quote);
        }
        text.push_str("\r\n");
        Ok(())
    }
}

/// A name that is there twice.
fn twice<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The row that was read last, or is read.
    row: usize,
    options: &'t Csv,
    limits: &'t Limits,
    /// How many values may still come.
    left: usize,
}

impl Reader<'_> {
    /// The cells of the next row that is no empty line.
    fn next(&mut self) -> Result<Option<Vec<String>>, DecodeError> {
        while matches!(self.byte(), Some(b'\n' | b'\r')) {
            self.line();
        }
        if self.at == self.text.len() {
            return Ok(None);
        }
        self.row += 1;
        let mut cells = Vec::new();
        loop {
            if cells.len() == self.limits.columns {
                let limit = self.limits.columns;
                return Err(DecodeError::TooMuch { what: "columns", limit, at: Position::Row(self.row) });
            }
            cells.push(self.cell()?);
            match self.byte() {
                Some(byte) if byte == self.options.delimiter as u8 => self.at += 1,
                _ => break,
            }
        }
        self.end();
        Ok(Some(cells))
    }

    fn cell(&mut self) -> Result<String, DecodeError> {
        let delimiter = self.options.delimiter as u8;
        let quote = self.options.quote.map(|quote| quote as u8);
        let bytes = self.text.as_bytes();
        if quote.is_none() || self.byte() != quote {
            let ends =
                |byte: &u8| matches!(byte, b'\n' | b'\r') || *byte == delimiter || Some(*byte) == quote;
            let length = bytes[self.at..].iter().position(ends).unwrap_or(bytes.len() - self.at);
            let cell = &self.text[self.at..self.at + length];
            self.at += length;
            return match quote.is_some() && self.byte() == quote {
                true => Err(self.wrong("a quote stands inside of a cell; the whole cell must be quoted")),
                false => Ok(cell.to_owned()),
            };
        }
        let mut cell = String::new();
        self.at += 1;
        loop {
            let Some(length) = bytes[self.at..].iter().position(|byte| Some(*byte) == quote) else {
                return Err(self.wrong("a quote is not closed"));
            };
            cell.push_str(&self.text[self.at..self.at + length]);
            self.at += length + 1;
            match self.byte() {
                next if next == quote => {
                    cell.push(char::from(bytes[self.at]));
                    self.at += 1;
                }
                None | Some(b'\n' | b'\r') => return Ok(cell),
                Some(byte) if byte == delimiter => return Ok(cell),
                Some(_) => return Err(self.wrong("something follows a closing quote")),
            }
        }
    }

    /// Past the end of a line.
    fn end(&mut self) {
        if self.byte() == Some(b'\r') {
            self.at += 1;
        }
        if self.byte() == Some(b'\n') {
            self.at += 1;
        }
    }

    /// Past the next line end.
    fn line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        self.end();
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn count(&mut self, values: usize) -> Result<(), DecodeError> {
        let (limit, at) = (self.limits.nodes, Position::Row(self.row));
        self.left =
            self.left.checked_sub(values).ok_or(DecodeError::TooMuch { what: "values", limit, at })?;
        Ok(())
    }

    fn wrong(&self, problem: impl Into<String>) -> DecodeError {
        DecodeError::malformed(Position::Row(self.row), problem)
    }
}
