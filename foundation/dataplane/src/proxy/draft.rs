//! A request's changes, kept while somebody is asked.

use super::fields::Edits;
use super::{Decision, Outgoing, Verdict};

/// What a [`Verdict::Later`] changes in its request, written as [`begin`](super::Handler::begin) writes it.
///
/// Whoever decides late can so use what decides at once: it writes into an [`Outgoing`] in either case.
#[derive(Debug, Default)]
pub struct Draft {
    target: String,
    edits: Edits,
}

impl Draft {
    /// A request for `target`, which is path and query in canonical form, with nothing changed yet.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), edits: Edits::default() }
    }

    /// Where changes are written.
    pub fn outgoing(&mut self) -> Outgoing<'_> {
        Outgoing { target: &mut self.target, edits: &mut self.edits }
    }

    /// The decision that makes them.
    pub fn decide<T>(self, verdict: Verdict<T>) -> Decision<T> {
        let Edits { added, dropped, host } = self.edits;
        Decision { fields: added, target: Some(self.target), dropped, host, ..Decision::new(verdict) }
    }
}
