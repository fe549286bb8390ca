//! Members by name, in the order they came.

use std::collections::HashMap;
use std::sync::Arc;

use super::Value;

/// From how many members on names are looked up in an index. Below, walking is faster.
const INDEXED_FROM: usize = 24;

/// Where each name stands. It is boxed, so that a small object, and with it every value, stays small.
#[derive(Clone)]
struct Index(HashMap<Arc<str>, usize>);

/// Members of an object, in order, each name once.
#[derive(Clone, Default)]
pub struct Object {
    members: Vec<(Arc<str>, Value)>,
    /// Where each name stands, once there are many.
    index: Option<Box<Index>>,
}

impl Object {
    /// Without members, and with room for some.
    pub fn with_capacity(members: usize) -> Self {
        Self { members: Vec::with_capacity(members), index: None }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.members.iter().map(|(name, value)| (name, value))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.place(name).map(|at| &self.members[at].1)
    }

    /// The value of a member, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.place(name).map(|at| &mut self.members[at].1)
    }

    /// The value of the member that stands here.
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Value> {
        self.members.get_mut(place).map(|(_, value)| value)
    }

    /// Sets a member, and gives back the value that it had. A new one stands last.
    pub fn insert(&mut self, name: Arc<str>, value: Value) -> Option<Value> {
        if let Some(at) = self.place(&name) {
            return Some(std::mem::replace(&mut self.members[at].1, value));
        }
        if let Some(index) = &mut self.index {
            index.0.insert(name.clone(), self.members.len());
        } else if self.members.len() + 1 == INDEXED_FROM {
            let names = self.members.iter().map(|(name, _)| name).chain([&name]);
            let index = names.cloned().enumerate().map(|(at, name)| (name, at)).collect();
            self.index = Some(Box::new(Index(index)));
        }
        self.members.push((name, value));
        None
    }

    /// Adds a member of a name that is certainly new.
    pub(crate) fn push_new(&mut self, name: Arc<str>, value: Value) {
        match self.members.len() + 1 < INDEXED_FROM {
            true => self.members.push((name, value)),
            false => drop(self.insert(name, value)),
        }
    }

    /// Where a member stands.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.0.get(name).copied(),
            None => self.members.iter().position(|(own, _)| **own == *name),
        }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for Object {}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.members.iter().map(|(name, value)| (name, value))).finish()
    }
}

impl IntoIterator for Object {
    type Item = (Arc<str>, Value);
    type IntoIter = std::vec::IntoIter<(Arc<str>, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}
