//! One model into another, without I/O: documents in the formats that others have, a table that says what becomes of
//! what, and jq where the table ends.
//!
//! ```text
//!            Format::decode            Mapping::apply             Format::encode
//!   bytes ───────────────────► Value ───────────────────► Value ───────────────────► bytes
//!    JSON, XML, SOAP, CSV,             a table, checked             the same formats,
//!    fixed width, form, text;          before it is used            for the request side
//!    any charset
//! ```
//!
//! A [`Value`] is JSON's tree with exact numbers. A [`Mapping`] is a table, compiled once:
//!
//! ```
//! # use dozen_mapping::{Format, Limits, Mapping, Options, json};
//! let limits = Limits::default();
//! let table = json::read(r#"{
//!     "sku":   "Item/@code!",
//!     "price": { "from": "Item/Price", "as": "money(EUR)", "required": true },
//!     "state": { "from": "Item/State", "enum": { "A": "active", "_": { "value": "other" } }, "default": "unknown" }
//! }"#, &limits).unwrap();
//! let mapping = Mapping::table(&table, "map", &Options::default()).unwrap();
//! let xml = Format::parse(&"xml".into(), "in").unwrap();
//! let input = xml.decode(br#"<Item code="A7"><Price>12.3</Price></Item>"#, None, &limits).unwrap();
//! let output = mapping.apply(&input, &limits).unwrap().value;
//! assert_eq!(json::write(&output),
//!     r#"{"sku":"A7","price":{"amount":"12.30","currency":"EUR"},"state":"unknown"}"#);
//! ```
//!
//! **It cannot fail silently.** A field whose source may be missing, whose conversion may fail, or whose word may be in no
//! list has a `default`, an `on-error` or `required: true`, or the table does not compile; a schema of the input proves
//! where that cannot happen. At run time, what has no branch fails the whole translation, with the place of the field in
//! the table, in the result and in the input ([`Failure`]); what has one is counted ([`Translated::fallbacks`]). There is
//! no third way, and nothing is rounded, cut off or guessed.
//!
//! **It is bounded.** A document, and a translation, may cost what [`Limits`] say. Documents come from outside: the readers
//! refuse entities, nesting, and sizes before they build what they describe. Texts of errors name fields, elements and
//! columns, and never hold a value.
//!
//! The language is described in `docs/mapping.md`.

mod charset;
mod error;
mod format;
mod jq;
pub mod json;
mod limits;
mod mapping;
mod mistake;
mod names;
mod rows;
mod table;
mod value;
mod xml;

#[cfg(test)]
mod tests;

pub use charset::Charset;
pub use error::{DecodeError, EncodeError, Position};
pub use format::Format;
pub use jq::{JqError, PROGRAM_MAX};
pub use limits::{DEPTH_MAX, Limits};
pub use mapping::{Mapping, OnError, Options};
pub use mistake::{MISTAKES_MAX, Mistake, Mistakes};
pub use rows::{Align, Column, Csv, Fixed, Short, Unit};
pub use table::{Failure, Fallback, Problem, Translated};
pub use value::{Decimal, Number, Object, Text, Value};
pub use xml::{Fault, Mixed, Soap, Version, Xml};
