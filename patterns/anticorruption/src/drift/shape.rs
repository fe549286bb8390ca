//! The shape of documents: which fields there are, of which kinds, and which of them always.

use std::collections::{BTreeMap, BTreeSet};

use dozen_mapping::Value;
use serde_json::{Map, Value as Json};

use super::Change;

/// How deep shapes are learnt and compared.
const DEPTH_MAX: usize = 32;
/// Members of one object that are learnt.
const MEMBERS_MAX: usize = 1000;
/// Values of one document that are compared.
const VALUES_MAX: usize = 10_000;
/// Keywords of a schema beside which nothing is known.
const CHOICES: [&str; 7] = ["anyOf", "oneOf", "allOf", "not", "if", "$ref", "$dynamicRef"];
/// Signs of a name in a path.
const NAME_MAX: usize = 64;

/// What may stand at a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    /// Kinds that were seen; none says that nothing is known.
    kinds: BTreeSet<&'static str>,
    members: BTreeMap<String, Member>,
    items: Option<Box<Shape>>,
    /// The texts that a schema lists.
    words: Option<BTreeSet<String>>,
    /// Objects that were seen.
    objects: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Member {
    shape: Shape,
    always: bool,
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

    /// What a JSON Schema says plainly. Where it chooses between schemas, nothing is known.
    pub(super) fn of_schema(schema: &Json) -> Self {
        Self::of_schema_at(schema, 0)
    }

    fn of_schema_at(schema: &Json, depth: usize) -> Self {
        let Some(own) = schema.as_object().filter(|_| depth <= DEPTH_MAX) else { return Self::default() };
        if CHOICES.iter().any(|choice| own.contains_key(*choice)) {
            return Self::default();
        }
        let below = |schema: &Json| Self::of_schema_at(schema, depth + 1);
        let required: Vec<&str> = own
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let properties = own.get("properties").and_then(Json::as_object);
        let member = |(name, schema): (&String, &Json)| {
            (name.clone(), Member { shape: below(schema), always: required.contains(&name.as_str()) })
        };
        Self {
            kinds: kinds_of(own),
            members: properties.into_iter().flatten().map(member).collect(),
            items: own.get("items").map(|items| Box::new(below(items))),
            words: own
                .get("enum")
                .and_then(Json::as_array)
                .map(|words| words.iter().filter_map(Json::as_str).map(str::to_owned).collect()),
            objects: 0,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Tells every difference between the shape and one document, as far as [`VALUES_MAX`] values.
    pub(super) fn compare(&self, value: &Value, flat: bool, tell: &mut dyn FnMut(String, Change)) {
        Walk { flat, left: VALUES_MAX, path: Vec::new(), tell }.at(self, value);
    }
}

fn kinds_of(own: &Map<String, Json>) -> BTreeSet<&'static str> {
    let named = match own.get("type") {
        Some(Json::String(kind)) => vec![kind.as_str()],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let ours = |kind: &str| match kind {
        "null" => Some("null"),
        "boolean" => Some("boolean"),
        "number" | "integer" => Some("number"),
        "string" => Some("text"),
        "array" => Some("list"),
        "object" => Some("object"),
        _ => None,
    };
    named.into_iter().filter_map(ours).collect()
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
                // A schema of an object that names nothing says nothing of its members.
                if shape.members.is_empty() && shape.objects == 0 {
                    return;
                }
                for (name, member) in &shape.members {
                    if member.always && object.get(name).is_none() {
                        self.found(Some(name), Change::Missing);
                    }
                }
                for (name, value) in object.iter() {
                    match shape.members.get(&**name) {
                        None => self.found(Some(name), Change::New),
                        Some(member) => {
                            self.path.push(shown(name));
                            self.at(&member.shape, value);
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
        let mut path = String::new();
        for step in self.path.iter().cloned().chain(member.map(shown)) {
            if !path.is_empty() && step != "[*]" {
                path.push('.');
            }
            path.push_str(&step);
        }
        (self.tell)(if path.is_empty() { ".".into() } else { path }, change);
    }
}

/// A name as a report shows it: short, whatever was sent.
fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
