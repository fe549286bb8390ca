//! Values for an expression that is not about a message.

use serde_json::Value;

/// The values of a [`Scope`](crate::Scope)'s variables for one evaluation, borrowed: a request, a token's claims.
///
/// A variable without a value is missing; one that is null is null.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    values: Vec<(&'a str, &'a Value)>,
}

impl<'a> Context<'a> {
    /// Without any value.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this value for `name`; the first one given counts.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a Value) -> Self {
        self.values.push((name, value));
        self
    }

    pub(crate) fn values(&self) -> &[(&'a str, &'a Value)] {
        &self.values
    }
}
