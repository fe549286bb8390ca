//! A compiled pattern as a value, so that `matches` compiles nothing while it evaluates.

use std::sync::Arc;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString, Type};
use cel::common::value::CowVal;
use regex::{Regex, RegexBuilder};

/// The largest compiled program, in bytes. A counted repetition in a short text can ask for megabytes.
const PROGRAM_MAX: usize = 256 * 1024;

/// The type that an overload takes it by.
pub(crate) const TYPE: Type = Type::new_unspecified_type("pattern");

#[derive(Clone, Debug)]
pub(crate) struct Pattern(Arc<Regex>);

impl Pattern {
    /// Compiles `pattern`, or says what is wrong with it.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).size_limit(PROGRAM_MAX).dfa_size_limit(PROGRAM_MAX).build();
        match built {
            Ok(regex) => Ok(Self(Arc::new(regex))),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err("the pattern repeats too much; make its counts smaller".into())
            }
            Err(error) => {
                // The library draws a picture of several lines; its last one says what is wrong.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or("").trim_start_matches("error: ");
                Err(format!("the pattern cannot be read: {last}"))
            }
        }
    }
}

crate::opaque::opaque!(Pattern, TYPE);

/// `text.matches(pattern)`: whether the pattern is found anywhere in the text.
pub(crate) fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match arguments.as_slice() {
        [text, pattern] => match (text.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<Pattern>()) {
            (Some(text), Some(pattern)) => Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner())))),
            _ => Err(ExecutionError::no_such_member_overload(
                "matches",
                vec![text.get_type().name().to_owned(), "pattern".to_owned()],
            )),
        },
        _ => Err(ExecutionError::invalid_argument_count(1, arguments.len().saturating_sub(1))),
    }
}
