//! A moment as a value: what `time` is and `timestamp(…)` makes.
//!
//! The evaluator's own timestamps bring a library of calendars and every time zone into the build, for arithmetic that
//! a filter without a clock has no use for. A moment here can be compared, and that is all.

use std::any::Any;
use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::traits::Comparer;
use cel::common::types::{CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use dozen_core::Timestamp;

static TYPE: Type = Type::new_unspecified_type("google.protobuf.Timestamp");

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Val for Moment {
    fn get_type(&self) -> &Type {
        &TYPE
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Moment {}

impl Comparer for Moment {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(self.0.cmp(&other.0)),
            None => Err(ExecutionError::UnexpectedType {
                got: other.get_type().name().to_owned(),
                want: "timestamp".to_owned(),
            }),
        }
    }
}

/// `timestamp(text)`.
pub(crate) fn timestamp<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = arguments.first().and_then(|text| text.downcast_ref::<CelString<'_>>());
    text.and_then(|text| Timestamp::parse(text.inner()))
        .map(|moment| CowVal::owned(Moment(moment)))
        .ok_or_else(|| ExecutionError::function_error("timestamp", "no RFC 3339 timestamp"))
}
