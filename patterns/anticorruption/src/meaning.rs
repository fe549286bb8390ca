//! What an answer means in our model.

use dozen_mapping::Value;

use crate::problem::Problem;

/// What an answer means.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// A result.
    Result {
        /// In our model.
        value: Value,
        /// In theirs.
        document: Value,
        /// Fields for which something stood in.
        fallbacks: usize,
    },
    /// An error.
    Problem {
        /// In our words.
        problem: Problem,
        /// Whether the provider is unwell, and not only of another opinion.
        is_unwell: bool,
        /// Whether the next one is asked.
        next: bool,
        /// The document in their model, if it was an answer that only could not be translated.
        document: Option<Value>,
    },
}

impl Meaning {
    /// The document in their model, if there is one that should be as the examples say.
    pub(crate) fn document(&self) -> Option<&Value> {
        match self {
            Self::Result { document, .. } => Some(document),
            Self::Problem { document, .. } => document.as_ref(),
        }
    }

    /// Whether the provider is unwell.
    pub(crate) fn is_unwell(&self) -> bool {
        matches!(self, Self::Problem { is_unwell: true, .. })
    }
}
