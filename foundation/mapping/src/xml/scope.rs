//! Which namespace a prefix stands for, at one place of a document.

use std::collections::BTreeMap;

use super::{XML, XSI};

/// The declarations in force, innermost last.
pub(super) struct Scope<'o> {
    declared: Vec<(Box<str>, Namespace)>,
    /// The addresses that came up, each once: a namespace is its place here.
    addresses: Vec<Box<str>>,
    /// What the reader calls the namespaces that it knows.
    known: &'o BTreeMap<String, String>,
}

/// A namespace, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// Without one.
    None,
    /// One that has a prefix of ours.
    Known(usize),
    /// Another, or one whose prefix of ours is empty.
    Plain(usize),
}

impl<'o> Scope<'o> {
    pub(super) fn new(known: &'o BTreeMap<String, String>) -> Self {
        let mut scope = Self { declared: Vec::new(), addresses: Vec::new(), known };
        scope.declare("xml", XML);
        scope
    }

    /// How many declarations are in force: what [`Scope::leave`] takes.
    pub(super) fn mark(&self) -> usize {
        self.declared.len()
    }

    /// Declares a namespace for the element that begins. The empty prefix is that of names without one.
    pub(super) fn declare(&mut self, prefix: &str, address: &str) {
        let namespace = match address {
            "" => Namespace::None,
            address => {
                let known = self.addresses.iter().position(|own| **own == *address);
                let place = known.unwrap_or_else(|| {
                    self.addresses.push(address.into());
                    self.addresses.len() - 1
                });
                match self.prefix(address) {
                    Some("") | None => Namespace::Plain(place),
                    Some(_) => Namespace::Known(place),
                }
            }
        };
        self.declared.push((prefix.into(), namespace));
    }

    /// Forgets what was declared since.
    pub(super) fn leave(&mut self, mark: usize) {
        self.declared.truncate(mark);
    }

    /// The namespace of a prefix; none where the prefix is not declared.
    pub(super) fn of(&self, prefix: &str) -> Option<Namespace> {
        // Most names have no prefix. To compare two empty texts costs more than to see that both are empty.
        let declared = self.declared.iter().rev().find(|(own, _)| match prefix.is_empty() {
            true => own.is_empty(),
            false => **own == *prefix,
        });
        match declared {
            Some((_, namespace)) => Some(*namespace),
            None => prefix.is_empty().then_some(Namespace::None),
        }
    }

    /// How many addresses came up.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// What the reader calls a namespace that it knows.
    pub(super) fn called(&self, namespace: Namespace) -> Option<&str> {
        match namespace {
            Namespace::Known(place) => self.prefix(&self.addresses[place]),
            Namespace::None | Namespace::Plain(_) => None,
        }
    }

    fn prefix(&self, address: &str) -> Option<&'o str> {
        let own = self.known.iter().find(|(_, own)| *own == address).map(|(prefix, _)| prefix.as_str());
        own.or(match address {
            XSI => Some("xsi"),
            XML => Some("xml"),
            _ => None,
        })
    }
}
