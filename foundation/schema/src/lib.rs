//! What a payload must look like, in JSON Schema, and whether a changed schema breaks anybody.
//!
//! ```
//! # use dozen_schema::{Mode, Schema, compatible};
//! let old = Schema::compile(br#"{"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}"#)?;
//! assert!(old.validate(br#"{"total": 150}"#).is_ok());
//! let wrong = old.validate(br#"{"total": "much"}"#).unwrap_err();
//! assert_eq!(wrong[0].path, "/total");
//!
//! let new = Schema::compile(br#"{"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}"#)?;
//! assert!(compatible(&old, &new, Mode::Backward).is_empty());          // new readers take what old writers write
//! assert!(!compatible(&old, &new, Mode::Forward).is_empty());          // old readers do not expect 1.5
//! # Ok::<(), dozen_schema::SchemaError>(())
//! ```
//!
//! A [`Schema`] is compiled once, when it is registered, and asked for every message. Compiling fetches nothing: a `$ref`
//! that leaves the document is refused. Patterns have no backtracking, so a payload cannot make one slow. `format` is
//! checked, whatever the draft says about it.
//!
//! [`compatible`] compares two schemas without any payload. See there for what it knows, and for the one thing that it
//! takes on trust.

mod compatible;
mod error;
mod schema;

#[cfg(test)]
mod tests;

pub use compatible::{BREAKS_MAX, Break, Direction, Mode, compatible};
pub use error::{SchemaError, Violation};
pub use schema::{SCHEMA_MAX, Schema, VIOLATIONS_MAX};
