//! What is wrong with a mapping, before any document is seen.

use std::fmt;

use dozen_core::{Diagnose, Fault, Retry};

/// How many mistakes of one mapping are told.
pub const MISTAKES_MAX: usize = 50;

/// One thing that is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the mapping: `map.price.as`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Mistake {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same mistake in something that stands at `at`.
    pub(crate) fn under(self, at: &str) -> Self {
        Self { path: at.to_owned(), ..self }
    }

    /// With "did you mean" for the nearest of `known`, or else with all of them.
    pub(crate) fn nearest<'a>(self, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Self {
        match dozen_core::nearest(name, known.clone()).first() {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => {
                let known: Vec<String> = known.take(30).map(|name| format!("`{name}`")).collect();
                self.hint(format!("there are {}", known.join(", ")))
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem)?,
            path => write!(f, "{path}: {}", self.problem)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a mapping; at least one thing, and at most [`MISTAKES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl Diagnose for Mistakes {
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
