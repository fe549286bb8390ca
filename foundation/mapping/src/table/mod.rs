//! The mapping table: what a target's fields are made of.

mod arguments;
mod compile;
mod convert;
mod coverage;
mod field;
mod moment;
mod number;
mod path;
mod reverse;
mod rule;
mod run;
mod schema;
mod target;
mod template;

pub(crate) use compile::compile;
pub(crate) use reverse::reversed;
pub(crate) use rule::Rule;
pub(crate) use run::translate;
pub use run::{Failure, Fallback, Problem, Translated};
