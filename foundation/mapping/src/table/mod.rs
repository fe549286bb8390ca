//! The mapping table: what a target's fields are made of.

mod arguments;
mod budget;
mod compile;
mod contradiction;
mod convert;
mod coverage;
mod field;
mod gives;
mod moment;
mod notation;
mod number;
mod outcome;
mod path;
mod pattern;
mod reverse;
mod rule;
mod run;
mod schema;
mod scopes;
mod short;
mod sources;
mod target;
mod template;

pub(crate) use compile::compile;
pub use outcome::{Failure, Fallback, Problem, Translated};
pub(crate) use reverse::reversed;
pub(crate) use rule::Rule;
pub(crate) use run::translate;
