//! Filters and policies in CEL, the Common Expression Language: `type == "order.placed" && data.total > 100`.
//!
//! ```text
//!  text ──► parse ──► check ──► prepare ──► Expression ── matches(&Message) ──► Verdict
//!            cel       names     patterns,                 decide(&Context)     Yes · No · Unknown(why)
//!                      kinds     moments,
//!                      bounds    a bound on the work
//! ```
//!
//! A subscription, a route or a policy is written once by a person and evaluated millions of times by a machine. So all
//! that can be found wrong is found while it is compiled, and said with its line and column ([`Mistake`]): a variable or
//! function that is not there, a comparison that can never hold, a pattern that is none, a result that is no boolean.
//! What only a message can show (a member that it lacks) is no error of the program: the verdict is
//! [`Verdict::Unknown`], which does not match and can be counted.
//!
//! ```
//! # use dozen_expression::{Expression, Verdict};
//! # use dozen_core::Message;
//! let large = Expression::for_messages(r#"type == "order.placed" && data.total > 100"#)?;
//! let order = Message::new("1", "/shop", "order.placed").with_data(None, r#"{"total": 150}"#);
//! assert_eq!(large.matches(&order), Verdict::Yes);
//! # Ok::<(), dozen_expression::Mistake>(())
//! ```
//!
//! **What can be said.** The operators of CEL, `has`, `all`, `exists`, `exists_one`, `filter`, `map`, `size`, `contains`,
//! `startsWith`, `endsWith`, `matches`, `timestamp`, and the conversions `int`, `uint`, `double`, `string`, `bool`,
//! `bytes`. Numbers compare across kinds (`1 == 1.0`); arithmetic does not mix them (`double(data.count) * 1.5`). JSON
//! numbers without fraction and exponent are whole (`int`, and `uint` beyond its range), all others `double`.
//! `matches` takes a literal pattern, and `time` is a moment that compares with `timestamp("2026-01-31T12:00:00Z")`.
//!
//! **What it may cost.** An expression is somebody's input, so its cost has bounds that its author cannot lift: the text
//! has [`TEXT_MAX`] bytes, parts nest [`DEPTH_MAX`] deep and loops [`LOOPS_MAX`], patterns compile to bounded programs. What a
//! part may build is estimated while it is compiled, and more than [`BUILT_MAX`] bytes are refused. What a loop walks is
//! charged before it walks, and beyond [`STEPS_MAX`] steps the verdict is unknown. JSON of more than [`DATA_MAX`] bytes is
//! not looked into. There is no clock in any of this: the same expression and message always give the same verdict.

mod check;
mod context;
mod evaluate;
mod expression;
mod fuel;
mod functions;
mod growth;
mod json;
mod mistake;
mod moment;
mod opaque;
mod pattern;
mod prepare;
mod scope;
mod syntax;
mod verdict;

#[cfg(test)]
mod tests;

pub use context::Context;
pub use expression::Expression;
pub use mistake::Mistake;
pub use scope::{Kind, Scope};
pub use verdict::{Problem, Verdict};

/// The longest text of an expression, in bytes.
pub const TEXT_MAX: usize = 4096;

/// How deep the parts of an expression may nest. A chain like `a + b + c` nests once for each sign.
pub const DEPTH_MAX: usize = 48;

/// How deep `all`, `exists`, `map` and their like may nest.
pub const LOOPS_MAX: usize = 3;

/// The most JSON that is looked into, in bytes; for a [`Context`] by estimate.
pub const DATA_MAX: usize = 256 * 1024;

/// The most that a part of an expression may build out of its parts, in bytes and by estimate.
pub const BUILT_MAX: u64 = 4 * 1024 * 1024;

/// The steps that the loops of one evaluation may take. A step is one part of the expression, evaluated once for one
/// element, or 1 KiB of text or four values of a list that it looks through or copies.
pub const STEPS_MAX: u64 = 4_000_000;
