//! A compiled schema.

use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::error::{SchemaError, Violation};

/// The longest schema, in bytes.
pub const SCHEMA_MAX: usize = 256 * 1024;

/// How many violations of one payload are told. The first few say what is wrong; a thousand say no more.
pub const VIOLATIONS_MAX: usize = 10;

/// The largest compiled pattern, in bytes.
const PATTERN_MAX: usize = 256 * 1024;

/// A schema that payloads are checked against, from many threads. Cloning it copies nothing.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    document: Value,
    validator: Validator,
}

impl Schema {
    /// Compiles a JSON Schema: of the draft that its `$schema` names, or of 2020-12.
    pub fn compile(text: &[u8]) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_MAX {
            return Err(SchemaError::TooLarge { bytes: text.len(), limit: SCHEMA_MAX });
        }
        let document: Value = serde_json::from_slice(text).map_err(SchemaError::NotJson)?;
        let validator = validator(&document)?;
        Ok(Self(Arc::new(Compiled { document, validator })))
    }

    /// Checks a payload: `Ok`, or the first [`VIOLATIONS_MAX`] things that are wrong with it.
    pub fn validate(&self, payload: &[u8]) -> Result<(), Vec<Violation>> {
        let payload: Value = match serde_json::from_slice(payload) {
            Ok(payload) => payload,
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let problem = format!("it is no JSON, at line {line}, column {column}");
                return Err(vec![Violation { path: String::new(), problem }]);
            }
        };
        self.validate_value(&payload)
    }

    /// The same for a payload that is parsed already.
    pub fn validate_value(&self, payload: &Value) -> Result<(), Vec<Violation>> {
        // Most payloads are right, and to say no more than that is much faster.
        if self.0.validator.is_valid(payload) {
            return Ok(());
        }
        let errors = self.0.validator.iter_errors(payload).take(VIOLATIONS_MAX);
        Err(errors
            .map(|error| Violation {
                path: error.instance_path().to_string(),
                problem: error.masked_with("the value").to_string(),
            })
            .collect())
    }

    /// The schema itself.
    pub fn document(&self) -> &Value {
        &self.0.document
    }
}

impl PartialEq for Schema {
    /// Equal as JSON: neither spacing nor the order of members counts.
    fn eq(&self, other: &Self) -> bool {
        self.0.document == other.0.document
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.0.document).finish()
    }
}

pub(crate) fn validator(document: &Value) -> Result<Validator, SchemaError> {
    let invalid = |error: ValidationError<'_>| SchemaError::Invalid {
        path: error.instance_path().to_string(),
        problem: error.to_string(),
    };
    let patterns = PatternOptions::regex().size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX);
    jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .build(document)
        .map_err(invalid)
}
