//! A compiled table.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use dozen_expression::Expression;

use super::convert::Convert;
use super::path::Path;
use super::template::Template;
use crate::jq::Program;
use crate::value::{Object, Shape, Value};

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
    Object(Fields),
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
    Object(Fields),
}

/// The members of an object, in order.
#[derive(Default)]
pub(crate) struct Fields {
    list: Vec<Field>,
    shape: OnceLock<Arc<Shape>>,
}

impl Fields {
    pub(crate) fn new(list: Vec<Field>) -> Self {
        Self { list, shape: OnceLock::new() }
    }

    /// An object that expects the names of all fields.
    pub(crate) fn begin(&self) -> Object {
        let shape = || Arc::new(Shape::of(self.list.iter().map(|field| field.name.clone())));
        Object::like(Some(self.shape.get_or_init(shape).clone()))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

impl Deref for Fields {
    type Target = Vec<Field>;

    fn deref(&self) -> &Vec<Field> {
        &self.list
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut Vec<Field> {
        self.shape.take();
        &mut self.list
    }
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
