//! The values at hand: the whole input, and what was gone into.

use dozen_expression::{Context, Expression, Verdict};
use serde_json::Value as Json;

use crate::value::Value;

/// What conditions call the value at hand, and the whole input.
const ITEM: &str = "item";
const ROOT: &str = "root";

/// The values at hand, the innermost last.
pub(super) struct Scopes<'v> {
    all: Vec<&'v Value>,
    /// The same as conditions see them, made when one asks, with how many values that took.
    seen: Vec<Option<(Json, usize)>>,
}

impl<'v> Scopes<'v> {
    pub(super) fn of(input: &'v Value) -> Self {
        Self { all: vec![input], seen: vec![None] }
    }

    pub(super) fn enter(&mut self, value: &'v Value) {
        self.all.push(value);
        self.seen.push(None);
    }

    pub(super) fn leave(&mut self) {
        self.all.pop();
        self.seen.pop();
    }

    pub(super) fn all(&self) -> &[&'v Value] {
        &self.all
    }

    pub(super) fn here(&self) -> &'v Value {
        self.all.last().copied().unwrap_or(&Value::Null)
    }

    /// What a condition may refer to, and which scope it is.
    fn named(&self) -> [(&'static str, usize); 2] {
        [(ITEM, self.all.len() - 1), (ROOT, 0)]
    }

    /// Makes ready what a condition refers to, and gives how many values that are.
    pub(super) fn nodes(&mut self, condition: &Expression) -> usize {
        let wanted = self.named().into_iter().filter(|(name, _)| condition.refers_to(name));
        wanted.fold(0, |sum, (_, scope)| {
            let value = self.all[scope];
            let (_, nodes) = self.seen[scope].get_or_insert_with(|| (value.approximate(), value.nodes()));
            sum + *nodes
        })
    }

    /// Decides a condition; [`Scopes::nodes`] has made ready what it refers to.
    pub(super) fn decide(&self, condition: &Expression) -> Verdict {
        let mut context = Context::new();
        for (name, scope) in self.named() {
            if let Some((value, _)) = &self.seen[scope] {
                context = context.with(name, value);
            }
        }
        condition.decide(&context)
    }
}
