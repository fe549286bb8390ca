//! What is wrong with a schema, and with a payload.

use std::fmt;

use dozen_core::{Diagnose, Fault, Retry};

/// Why a text is no schema that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is no JSON.
    #[error("a schema is JSON, and this is not")]
    NotJson(#[source] serde_json::Error),
    /// It is too long.
    #[error("the schema has {bytes} bytes, and {limit} are the most")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// [`SCHEMA_MAX`](crate::SCHEMA_MAX).
        limit: usize,
    },
    /// It is JSON, and no schema.
    #[error("the schema is wrong at `{path}`: {problem}")]
    Invalid {
        /// Where in the schema, as a JSON pointer; empty for the whole.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl Diagnose for SchemaError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-schema"
    }
}

/// One way in which a payload is not what its schema says. It never holds a value of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the payload, as a JSON pointer; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem),
            path => write!(f, "`{path}`: {}", self.problem),
        }
    }
}
