//! Which messages a subscription wants, in CEL.

use std::sync::atomic::{AtomicU64, Ordering};

use dozen_core::{Message, chain};
use dozen_expression::{Expression, Verdict};
use dozen_messaging::{Error, Filter};

/// A compiled filter.
pub(crate) struct Wanted {
    expression: Expression,
    undecided: AtomicU64,
}

impl Wanted {
    /// Compiles the filter of subscription `name`. A mistake is told with its place in the text.
    pub(crate) fn compile(name: &str, text: &str) -> Result<Self, Error> {
        let expression = Expression::for_messages(text).map_err(|mistake| {
            Error::Invalid(format!("the filter of subscription `{name}` cannot be used: {}", chain(&mistake)))
        })?;
        Ok(Self { expression, undecided: AtomicU64::new(0) })
    }

    /// How often it could not decide. A message may be looked at more than once.
    pub(crate) fn undecided(&self) -> u64 {
        self.undecided.load(Ordering::Relaxed)
    }
}

impl Filter for Wanted {
    fn wants(&self, message: &Message) -> bool {
        match self.expression.matches(message) {
            Verdict::Yes => true,
            Verdict::No => false,
            Verdict::Unknown(_) => {
                self.undecided.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}
