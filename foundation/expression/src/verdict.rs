//! What an expression says of one message.

use cel::ExecutionError;

/// The outcome of one evaluation. Whatever is not [`Verdict::Yes`] does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// It cannot be said, and this is why. Worth counting: where it is frequent, the expression asks for something that
    /// messages do not have, and `has(…)` in front would make it a plain no.
    Unknown(Problem),
}

impl Verdict {
    /// Whether it holds.
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Why it cannot be said.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Unknown(problem) => Some(problem),
            Self::Yes | Self::No => None,
        }
    }
}

/// Why an expression has no answer for one message. The texts never hold values of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A member, an entry or a variable that is not there.
    #[error("there is no `{name}`; ask `has(…)` first")]
    Missing {
        /// Its name, when the expression spells it; else `[…]`.
        name: String,
    },
    /// A value of another kind than the operation takes.
    #[error("`{operation}` does not take {kinds}")]
    Kinds {
        /// The operator or function.
        operation: String,
        /// The kinds it was given, in CEL's words.
        kinds: String,
    },
    /// The result is neither true nor false.
    #[error("the result is of kind {kind}, and must be a boolean")]
    NotBoolean {
        /// What it is, in CEL's words.
        kind: String,
    },
    /// The result is no text where one is needed.
    #[error("the result is of kind {kind}, and must be a text, a whole number or a boolean")]
    NotText {
        /// What it is, in CEL's words.
        kind: String,
    },
    /// A calculation without result, or a conversion that cannot be done.
    #[error("{0}")]
    Value(&'static str),
    /// The payload or a variable is larger than is looked into.
    #[error("it has more than {limit} bytes of JSON, which is not looked into")]
    TooLarge {
        /// [`DATA_MAX`](crate::DATA_MAX).
        limit: usize,
    },
    /// Its loops would walk for too long.
    #[error("its loops need more than {limit} steps")]
    TooMuchWork {
        /// [`STEPS_MAX`](crate::STEPS_MAX).
        limit: u64,
    },
}

impl Problem {
    /// A closed set of words, for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Kinds { .. } => "kinds",
            Self::NotBoolean { .. } => "not_boolean",
            Self::NotText { .. } => "not_text",
            Self::Value(_) => "value",
            Self::TooLarge { .. } => "too_large",
            Self::TooMuchWork { .. } => "too_much_work",
        }
    }

    /// From the evaluator's error, whose own text may hold values. `text` is the expression.
    pub(crate) fn of(error: &ExecutionError, text: &str) -> Self {
        match error {
            ExecutionError::NoSuchKey(name) | ExecutionError::UndeclaredReference(name) => {
                let spelt = !name.is_empty() && text.contains(name.as_str());
                Self::Missing { name: if spelt { name.to_string() } else { "[…]".into() } }
            }
            ExecutionError::NoSuchOverload(overload) => Self::Kinds {
                operation: sign(overload.function()).to_owned(),
                kinds: overload.argument_types().join(" and "),
            },
            ExecutionError::UnsupportedBinaryOperator(name, left, right) => Self::Kinds {
                operation: sign(name).to_owned(),
                kinds: format!("{} and {}", left.type_of(), right.type_of()),
            },
            ExecutionError::IndexOutOfBounds(_) => Self::Missing { name: "[…]".into() },
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Self::Value("it divides by zero")
            }
            ExecutionError::Overflow(..) => Self::Value("a number leaves its range"),
            ExecutionError::FunctionError { .. } => Self::Value("a value cannot be converted"),
            ExecutionError::UnexpectedType { want, .. } if want == "bool" => {
                Self::Value("a condition is neither true nor false")
            }
            ExecutionError::UnexpectedType { want, .. } if want == "iterable" => {
                Self::Value("only lists and maps can be walked")
            }
            _ => Self::Value("a value is of a kind that the operation does not take"),
        }
    }
}

/// How an operator is written, from the evaluator's name for it.
pub(crate) fn sign(name: &str) -> &str {
    match name {
        "@in" => "in",
        "_?_:_" => "? :",
        "_[_]" => "[]",
        "_._" => ".",
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        _ if name.starts_with('_') || name.ends_with('_') => name.trim_matches('_'),
        _ => name,
    }
}
