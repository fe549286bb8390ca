//! What can be wrong with a translator before it is used.

use std::fmt;

use dozen_core::{Diagnose, Fault, Retry};

/// How many mistakes of all translators together are told.
pub const MISTAKES_MAX: usize = 50;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `translators.stock.calls.item.ask[0].answer.map.price`.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// All that is wrong with the translators of a file; at least one thing, and at most [`MISTAKES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Error(pub Vec<Mistake>);

impl Diagnose for Error {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-mapping"
    }
}

/// Gathers mistakes, so that all of them are told at once.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Vec<Mistake>);

impl Gathered {
    pub(crate) fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.0.len() < MISTAKES_MAX {
            self.0.push(Mistake { path: path.into(), problem: problem.into() });
        }
    }

    /// The value, or `None` and its mistake kept.
    pub(crate) fn take<T>(&mut self, path: &str, found: Result<T, impl fmt::Display>) -> Option<T> {
        found.map_err(|problem| self.add(path, problem.to_string())).ok()
    }

    /// The value, or `None` and its located mistakes kept.
    pub(crate) fn mapped<T>(&mut self, found: Result<T, impl Into<dozen_mapping::Mistakes>>) -> Option<T> {
        let mistakes = match found {
            Ok(value) => return Some(value),
            Err(mistakes) => mistakes.into(),
        };
        for mistake in mistakes.0 {
            let hint = mistake.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            self.add(mistake.path, format!("{}{hint}", mistake.problem));
        }
        None
    }

    pub(crate) fn settle<T>(self, value: T) -> Result<T, Error> {
        if self.0.is_empty() { Ok(value) } else { Err(Error(self.0)) }
    }
}
