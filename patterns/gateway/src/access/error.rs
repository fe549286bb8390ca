//! What can be wrong with what the file says of who may pass.

use dozen_core::{Diagnose, Fault, Retry, nearest};
use dozen_expression::Mistake;

/// Why a configuration of methods, consumers, plans or limits is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// A method that cannot be used as it is written.
    #[error("identity `{name}`: {problem}")]
    Method {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Consumers that cannot be told apart.
    #[error("{problem}; give one of them another")]
    Consumers {
        /// Which.
        problem: String,
    },
    /// An `auth` that says nothing, or two things.
    #[error("route `{route}`: `auth` is not clear: {problem}")]
    Auth {
        /// The route.
        route: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A `clients` that lets everybody pass.
    #[error("route `{route}`: `clients` names nobody; name addresses or networks in `allow` or `deny`")]
    Clients {
        /// The route.
        route: String,
    },
    /// A rule that does not compile.
    #[error("route `{route}`: `auth.require` cannot be used")]
    Rule {
        /// The route.
        route: String,
        /// Where it goes wrong.
        source: Mistake,
    },
    /// A limit that cannot be kept.
    #[error("{of}: its limit cannot be used: {problem}")]
    Limit {
        /// The route or plan.
        of: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A name that stands for nothing.
    #[error("{of} names the {what} `{name}`, and there is none; {hint}")]
    Unknown {
        /// Who names it.
        of: String,
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// What was meant, perhaps.
        hint: String,
    },
}

impl AccessError {
    pub(crate) fn unknown<'k>(
        of: String,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'k String>,
    ) -> Self {
        let hint = match nearest(name, known.map(String::as_str)).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add it under `{}`", if what == "plan" { "plans" } else { "identity" }),
        };
        Self::Unknown { of, what, name: name.to_owned(), hint }
    }
}

impl Diagnose for AccessError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "gateway-access"
    }
}
