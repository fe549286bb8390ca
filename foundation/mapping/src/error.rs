//! Why a document cannot be read or written.

use std::fmt;

use dozen_core::{Diagnose, Retry};

use crate::xml::Fault;

/// Where in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// A line and a column in characters, both from 1.
    Text {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A byte, from 0.
    Byte(usize),
    /// A row of a table, from 1 and counting a header.
    Row(usize),
    /// A column of a row.
    Cell(usize, String),
}

impl Position {
    /// Of a byte of a text.
    pub(crate) fn in_text(text: &str, byte: usize) -> Self {
        let before = &text.as_bytes()[..byte.min(text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // Bytes that continue a character are not columns.
        let column = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        Self::Text { line: before.iter().filter(|byte| **byte == b'\n').count() + 1, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
            Self::Row(row) => write!(f, "row {row}"),
            Self::Cell(row, column) => write!(f, "row {row}, column `{column}`"),
        }
    }
}

/// Why a document could not be read. The texts name elements and columns, and never hold a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It has more bytes than it may have.
    #[error("the document has {bytes} bytes, and {limit} are the most")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// [`Limits::size`](crate::Limits::size).
        limit: usize,
    },
    /// It has more of something than it may have.
    #[error("{at}: there are more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
        /// Where the first one too many stands.
        at: Position,
    },
    /// It is not what its format says.
    #[error("{at}: {problem}")]
    Malformed {
        /// Where.
        at: Position,
        /// What is wrong.
        problem: String,
    },
    /// A charset that nobody knows.
    #[error("there is no charset `{label}`")]
    UnknownCharset {
        /// As it was named.
        label: String,
    },
    /// It is a SOAP fault: the other side says what went wrong there.
    #[error("it is a SOAP fault: {0}")]
    Fault(Box<Fault>),
}

impl DecodeError {
    pub(crate) fn malformed(at: Position, problem: impl Into<String>) -> Self {
        Self::Malformed { at, problem: problem.into() }
    }
}

impl Diagnose for DecodeError {
    fn fault(&self) -> dozen_core::Fault {
        dozen_core::Fault::Dependency
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-document"
    }
}

/// Why a value cannot be written in a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("`{path}`: ") })]
pub struct EncodeError {
    /// Where in the value; empty for the whole.
    pub path: String,
    /// What cannot be written.
    pub problem: String,
}

impl EncodeError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl Diagnose for EncodeError {
    fn fault(&self) -> dozen_core::Fault {
        dozen_core::Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-document"
    }
}

/// A name as an error shows it: short, whatever was sent.
pub(crate) fn shown(name: &str) -> String {
    const SHOWN_MAX: usize = 64;
    match name.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
