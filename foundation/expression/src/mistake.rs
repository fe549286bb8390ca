//! What is wrong with a text, and where.

use std::fmt;

use dozen_core::{Diagnose, Fault, Retry};

/// Why a text is no expression that can be used, with the place where it goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right, where that can be guessed.
    pub hint: Option<String>,
}

impl Mistake {
    /// At a byte of `text`; past its end means at its end.
    pub(crate) fn at(text: &str, offset: usize, problem: impl Into<String>) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self { line, column, problem: problem.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With "did you mean" for the nearest of `known`, or else with all of them.
    pub(crate) fn nearest<'a>(self, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Self {
        let near = dozen_core::nearest(name, known.clone());
        match near.first() {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => {
                let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
                self.hint(format!("there are {}", known.join(", ")))
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}

impl Diagnose for Mistake {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-expression"
    }
}
