//! A compiled table.

use std::sync::Arc;

use dozen_expression::Expression;

use super::convert::Convert;
use super::path::Path;
use super::template::Template;
use crate::jq::Program;
use crate::value::Value;

/// How one value is made, and what happens where it cannot be.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Where it stands in the table: `map.price`.
    pub(crate) at: Arc<str>,
    /// Only if this holds; else there is no value.
    pub(crate) when: Option<Expression>,
    pub(crate) make: Make,
    /// Where there is nothing to make it of.
    pub(crate) missing: Otherwise,
    /// Where it cannot be made of what there is.
    pub(crate) failing: Otherwise,
    /// The types of JSON Schema that it gives when all goes well; none where that is not known.
    pub(crate) gives: Option<Vec<&'static str>>,
}

/// What a value is made of.
#[derive(Debug)]
pub(crate) enum Make {
    /// Of values of the input.
    From(From),
    /// Always this one.
    Constant(Value),
    /// A text with values in it.
    Template(Template),
    /// An object, each member by a rule of its own.
    Object(Vec<Field>),
    /// What a program says.
    Jq(Arc<Program>),
}

/// Values of the input, and what becomes of them.
#[derive(Debug)]
pub(crate) struct From {
    /// The first that finds anything counts.
    pub(crate) paths: Vec<Path>,
    pub(crate) count: Count,
    /// Of several, only those for which this holds.
    pub(crate) only: Option<Expression>,
    pub(crate) into: Into,
    /// What happens with one of several that cannot be made.
    pub(crate) item: Otherwise,
}

/// How many values there are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Count {
    #[default]
    One,
    Optional,
    /// Any number, as a list.
    Many,
    /// At least one, as a list.
    Some,
}

impl Count {
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Many | Self::Some)
    }
}

/// What becomes of a value of the input.
#[derive(Debug)]
pub(crate) enum Into {
    /// The same.
    Same,
    Converted(Convert),
    Listed(Enum),
    /// An object, whose fields are looked for in the value.
    Object(Vec<Field>),
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) rule: Rule,
}

/// Words of theirs, and what they are with us.
#[derive(Clone, Debug, Default)]
pub(crate) struct Enum {
    pub(crate) words: Vec<(String, Value)>,
    pub(crate) other: Other,
}

/// What a word is that is not listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Other {
    /// Nothing is said, and so it is an error that wants a branch.
    #[default]
    Unsaid,
    /// An error, which the table says.
    Error,
    Value(Value),
}

/// What stands in for a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Otherwise {
    /// The translation fails.
    Fail,
    /// There is no such member, or no such item.
    Omit,
    Value(Value),
}
