//! Which namespace a prefix stands for, at one place of a document.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{XML, XSI};

/// The declarations in force, innermost last.
pub(super) struct Scope<'o> {
    declared: Vec<(String, Namespace)>,
    /// What the reader calls the namespaces that it knows.
    known: &'o BTreeMap<String, String>,
}

/// A namespace, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// Without one.
    None,
    /// One that has a prefix of ours; the empty prefix is none.
    Known(Arc<str>),
    /// Another.
    Other(Arc<str>),
}

impl<'o> Scope<'o> {
    pub(super) fn new(known: &'o BTreeMap<String, String>) -> Self {
        let own = [("xml", XML)].map(|(prefix, uri)| (prefix.to_owned(), of(known, uri)));
        Self { declared: own.into(), known }
    }

    /// How many declarations are in force: what [`Scope::leave`] takes.
    pub(super) fn mark(&self) -> usize {
        self.declared.len()
    }

    /// Declares a namespace for the element that begins. The empty prefix is that of names without one.
    pub(super) fn declare(&mut self, prefix: &str, uri: &str) {
        self.declared.push((prefix.to_owned(), of(self.known, uri)));
    }

    /// Forgets what was declared since.
    pub(super) fn leave(&mut self, mark: usize) {
        self.declared.truncate(mark);
    }

    /// The namespace of a prefix; none where the prefix is not declared.
    pub(super) fn of(&self, prefix: &str) -> Option<&Namespace> {
        let declared = self.declared.iter().rev().find(|(own, _)| own == prefix);
        match declared {
            Some((_, namespace)) => Some(namespace),
            None if prefix.is_empty() => Some(&Namespace::None),
            None => None,
        }
    }
}

fn of(known: &BTreeMap<String, String>, uri: &str) -> Namespace {
    if uri.is_empty() {
        return Namespace::None;
    }
    let own = known.iter().find(|(_, own)| *own == uri).map(|(prefix, _)| prefix.as_str());
    match own.or(match uri {
        XSI => Some("xsi"),
        XML => Some("xml"),
        _ => None,
    }) {
        Some(prefix) => Namespace::Known(prefix.into()),
        None => Namespace::Other(uri.into()),
    }
}
