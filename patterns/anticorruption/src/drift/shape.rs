//! The shape of documents: which fields there are, of which kinds, and which of them always.

use std::collections::{BTreeMap, BTreeSet};

use dozen_mapping::Value;

use super::Change;

/// How deep shapes are learnt and compared.
pub(super) const DEPTH_MAX: usize = 32;
/// Members of one object that are learnt.
const MEMBERS_MAX: usize = 1000;
/// Values of one document that are compared.
const VALUES_MAX: usize = 10_000;
/// Places that are named as not compared.
pub(super) const BLIND_MAX: usize = 100;
/// Signs of a name in a path.
const NAME_MAX: usize = 64;

/// What may stand at a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    /// Kinds that were seen; none says that nothing is known.
    pub(super) kinds: BTreeSet<&'static str>,
    pub(super) members: BTreeMap<String, Member>,
    /// What members of other names are, where a schema says that there may be some.
    pub(super) others: Option<Box<Shape>>,
    pub(super) items: Option<Box<Shape>>,
    /// The texts that a schema lists.
    pub(super) words: Option<BTreeSet<String>>,
    /// Whether a schema lists the members, so that another one is new.
    pub(super) lists: bool,
    /// Objects that were seen.
    pub(super) objects: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Member {
    pub(super) shape: Shape,
    pub(super) always: bool,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::Text(_) => "text",
        Value::List(_) => "list",
        Value::Object(_) => "object",
    }
}

impl Shape {
    /// Learns from one document. `flat` says that a list and its only element are the same.
    pub(super) fn learn(&mut self, value: &Value, flat: bool) {
        self.learn_at(value, flat, 0);
    }

    fn learn_at(&mut self, value: &Value, flat: bool, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        if let (Value::List(list), true) = (value, flat) {
            return list.iter().for_each(|item| self.learn_at(item, flat, depth + 1));
        }
        self.kinds.insert(kind(value));
        match value {
            Value::List(list) => {
                let items = self.items.get_or_insert_default();
                list.iter().for_each(|item| items.learn_at(item, flat, depth + 1));
            }
            Value::Object(object) => {
                for (name, member) in &mut self.members {
                    member.always &= object.get(name).is_some();
                }
                for (name, value) in object.iter().take(MEMBERS_MAX) {
                    let is_first = self.objects == 0;
                    let new = || Member { shape: Self::default(), always: is_first };
                    let member = self.members.entry(name.to_string()).or_insert_with(new);
                    member.shape.learn_at(value, flat, depth + 1);
                }
                self.objects += 1;
            }
            _ => {}
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The places of which nothing is known, up to [`BLIND_MAX`].
    pub(super) fn blind(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.blind_at(&mut Vec::new(), &mut found);
        found
    }

    fn blind_at(&self, path: &mut Vec<String>, found: &mut Vec<String>) {
        if found.len() >= BLIND_MAX || path.len() > DEPTH_MAX {
            return;
        }
        if self.is_unknown() {
            return found.push(written(path, None));
        }
        let members = self.members.iter().map(|(name, member)| (shown(name), &member.shape));
        let others = self.others.iter().map(|others| ("*".to_owned(), &**others));
        let items = self.items.iter().map(|items| ("[*]".to_owned(), &**items));
        for (step, below) in members.chain(others).chain(items) {
            path.push(step);
            below.blind_at(path, found);
            path.pop();
        }
    }

    /// Tells every difference between the shape and one document, as far as [`VALUES_MAX`] values.
    pub(super) fn compare(&self, value: &Value, flat: bool, tell: &mut dyn FnMut(String, Change)) {
        Walk { flat, left: VALUES_MAX, path: Vec::new(), tell }.at(self, value);
    }
}

struct Walk<'t> {
    flat: bool,
    left: usize,
    path: Vec<String>,
    tell: &'t mut dyn FnMut(String, Change),
}

impl Walk<'_> {
    fn at(&mut self, shape: &Shape, value: &Value) {
        if shape.is_unknown() || self.left == 0 || self.path.len() > DEPTH_MAX {
            return;
        }
        self.left -= 1;
        if let (Value::List(list), true) = (value, self.flat) {
            return list.iter().for_each(|item| self.at(shape, item));
        }
        let now = kind(value);
        if !shape.kinds.contains(now) {
            let was = shape.kinds.iter().copied().collect::<Vec<_>>().join(" or ");
            return self.found(None, Change::Type { was, now });
        }
        match value {
            Value::Object(object) => {
                for (name, member) in &shape.members {
                    if member.always && object.get(name).is_none() {
                        self.found(Some(name), Change::Missing);
                    }
                }
                for (name, value) in object.iter() {
                    let known = shape.members.get(&**name).map(|member| &member.shape);
                    match known.or(shape.others.as_deref()) {
                        // A schema that lists nothing says nothing of what else there may be.
                        None if !shape.lists && shape.objects == 0 => {}
                        None => self.found(Some(name), Change::New),
                        Some(shape) => {
                            self.path.push(shown(name));
                            self.at(shape, value);
                            self.path.pop();
                        }
                    }
                }
            }
            Value::List(list) => {
                let Some(items) = &shape.items else { return };
                self.path.push("[*]".into());
                list.iter().for_each(|item| self.at(items, item));
                self.path.pop();
            }
            Value::Text(text) if shape.words.as_ref().is_some_and(|words| !words.contains(&**text)) => {
                self.found(None, Change::Word);
            }
            _ => {}
        }
    }

    fn found(&mut self, member: Option<&str>, change: Change) {
        (self.tell)(written(&self.path, member), change);
    }
}

/// A path as a report shows it: `Item[*].Price`; `.` is the document.
fn written(path: &[String], member: Option<&str>) -> String {
    let mut text = String::new();
    for step in path.iter().cloned().chain(member.map(shown)) {
        if !text.is_empty() && step != "[*]" {
            text.push('.');
        }
        text.push_str(&step);
    }
    if text.is_empty() { ".".into() } else { text }
}

/// A name as a report shows it: short, whatever was sent.
fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
