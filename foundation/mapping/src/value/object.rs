//! Members by name, in the order they came.
//!
//! ```text
//!   shape    sku │ title │ price │ state        names, shared by all objects that are made alike
//!   values   A7  │ Lamp  │ 12.30                of one object: it has the first three of the names
//! ```
//!
//! A list of a thousand objects has the same few names a thousand times, so an object does not own its names. It begins
//! with the shape of one like it; as long as each member has the name that is next there, only its value is kept, and
//! the first that has not gives the object a shape of its own.

use std::sync::Arc;

use super::{Shape, Value};

/// The most members that room is made for before they are seen.
const EXPECTED_MAX: usize = 16;

/// Members of an object, in order, each name once.
#[derive(Clone, Default)]
pub struct Object {
    /// It has at least as many names as there are values; none where there is no value yet.
    shape: Option<Arc<Shape>>,
    values: Vec<Value>,
}

impl Object {
    /// Without members, and with room for some.
    pub fn with_capacity(members: usize) -> Self {
        Self { shape: None, values: Vec::with_capacity(members) }
    }

    /// Without members, which are expected to be those of another object.
    pub(crate) fn like(shape: Option<Arc<Shape>>) -> Self {
        let expected = shape.as_ref().map_or(0, |shape| shape.len().min(EXPECTED_MAX));
        Self { shape, values: Vec::with_capacity(expected) }
    }

    /// What an object like it begins with.
    pub(crate) fn shape(&self) -> Option<&Arc<Shape>> {
        self.shape.as_ref()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn names(&self) -> &[Arc<str>] {
        self.shape.as_ref().map_or(&[], |shape| &shape.names()[..self.values.len()])
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.names().iter().zip(&self.values)
    }

    /// The members in order, their names as JSON has them before a value: `"sku":`.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&str, &Value)> {
        let name = |at| self.shape.as_ref().and_then(|shape| shape.written(at)).unwrap_or_default();
        self.values.iter().enumerate().map(move |(at, value)| (name(at), value))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.place(name).map(|at| &self.values[at])
    }

    /// The value of a member, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.place(name).map(|at| &mut self.values[at])
    }

    /// The values in order.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of the member that stands here.
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Value> {
        self.values.get_mut(place)
    }

    /// Sets a member, and gives back the value that it had. A new one stands last.
    pub fn insert(&mut self, name: Arc<str>, value: Value) -> Option<Value> {
        match self.place(&name) {
            Some(at) => Some(std::mem::replace(&mut self.values[at], value)),
            None => {
                self.push_new(&name, value);
                None
            }
        }
    }

    /// Whether the shape has this name next; then it is certainly new.
    pub(crate) fn expects(&self, name: &str) -> bool {
        self.next().is_some_and(|next| **next == *name)
    }

    /// The name that the shape has next, as JSON has it before its value: `"sku":`.
    pub(crate) fn next_written(&self) -> Option<&str> {
        self.shape.as_ref()?.written(self.values.len())
    }

    fn next(&self) -> Option<&Arc<str>> {
        self.shape.as_ref()?.names().get(self.values.len())
    }

    /// Makes this name the next one, unless it is there already.
    pub(crate) fn announce(&mut self, name: Arc<str>) -> bool {
        let is_new = self.place(&name).is_none();
        if is_new {
            self.part(name);
        }
        is_new
    }

    /// Where one value goes: that of the next name.
    pub(crate) fn room(&mut self) -> &mut Vec<Value> {
        &mut self.values
    }

    /// Adds a member of the name that the shape has next; there must be one.
    pub(crate) fn push_expected(&mut self, value: Value) {
        debug_assert!(self.next().is_some(), "a name was expected");
        self.values.push(value);
    }

    /// Adds a member of a name that is certainly new.
    pub(crate) fn push_new(&mut self, name: &Arc<str>, value: Value) {
        if !self.next().is_some_and(|next| Arc::ptr_eq(next, name) || *next == *name) {
            self.part(name.clone());
        }
        self.values.push(value);
    }

    /// Goes on with a shape of its own, in which this name is next.
    fn part(&mut self, name: Arc<str>) {
        let count = self.values.len();
        match self.shape.as_mut().and_then(Arc::get_mut).filter(|own| own.len() == count) {
            Some(own) => own.push(name),
            None => self.shape = Some(Arc::new(Shape::of(self.names().iter().cloned().chain([name])))),
        }
    }

    /// Where a member stands.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.place_near(name, 0)
    }

    /// The same, for who has an idea where it stands.
    pub(crate) fn place_near(&self, name: &str, guess: usize) -> Option<usize> {
        self.shape.as_ref()?.place(name, self.values.len(), guess)
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values && self.names() == other.names()
    }
}

impl Eq for Object {}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl IntoIterator for Object {
    type Item = (Arc<str>, Value);
    type IntoIter = std::iter::Zip<std::vec::IntoIter<Arc<str>>, std::vec::IntoIter<Value>>;

    fn into_iter(self) -> Self::IntoIter {
        let names = self.names().to_vec();
        names.into_iter().zip(self.values)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::shape::INDEXED_FROM;
    use super::{Object, Shape, Value};

    fn named(names: &[&str], shape: Option<Arc<Shape>>) -> Object {
        let mut object = Object::like(shape);
        for (at, name) in (0_i64..).zip(names) {
            assert!(object.insert((*name).into(), at.into()).is_none());
        }
        object
    }

    fn names(object: &Object) -> Vec<&str> {
        object.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn objects_alike_share_their_names_and_others_part_from_them() {
        let first = named(&["a", "b", "c"], None);
        let shared = |object: &Object| Arc::ptr_eq(first.shape().unwrap(), object.shape().unwrap());
        for (written, is_shared) in [
            (vec!["a", "b", "c"], true),
            (vec!["a", "b"], true),
            (vec!["a", "c"], false),
            (vec!["a", "b", "c", "d"], false),
            (vec!["b", "a", "c"], false),
        ] {
            let object = named(&written, first.shape().cloned());
            assert_eq!((names(&object), shared(&object)), (written.clone(), is_shared));
            assert_eq!(object, named(&written, None));
            assert_eq!(object.get("c").is_some(), written.contains(&"c"));
        }
        assert_eq!(names(&first), ["a", "b", "c"], "nobody has changed it");
    }

    #[test]
    fn many_names_are_found_by_an_index_that_knows_whose_they_are() {
        let all: Vec<String> = (0..2 * INDEXED_FROM).map(|at| at.to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let whole = named(&all, None);
        let part = named(&all[..INDEXED_FROM], whole.shape().cloned());
        for (at, name) in (0_i64..).zip(&all) {
            assert_eq!(whole.get(name), Some(&Value::from(at)));
            assert_eq!(part.get(name).is_some(), at < INDEXED_FROM as i64);
        }
        let mut other = named(&all[..INDEXED_FROM], whole.shape().cloned());
        assert!(other.insert("x".into(), Value::Null).is_none());
        assert_eq!((other.get("x"), other.get(all[INDEXED_FROM])), (Some(&Value::Null), None));
        assert!(other.insert("x".into(), true.into()).is_some());
    }
}
