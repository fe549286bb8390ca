//! The shape that a JSON Schema describes.
//!
//! A schema says what is allowed; a shape is what to expect. What stands beside each other (`allOf`, and a `$ref` with its
//! neighbours) is expected together, of what is a choice (`anyOf`, `oneOf`) each part may come, and what only holds under a
//! condition (`then`, `else`, `dependentSchemas`) may come as well. A `not` expects nothing. A schema without `type` is known by
//! what it speaks of: who lists properties means an object.
//!
//! Nothing is guessed beyond that: a part that allows anything, or leads out of the document, is unknown, and named as such.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::shape::{DEPTH_MAX, Member, Shape};

/// How often one reference is followed within itself: trees are described by schemas that refer to themselves.
const WITHIN_ITSELF_MAX: usize = 3;
/// Parts of one schema, references followed.
const PARTS_MAX: usize = 10_000;

/// The shape of documents that `schema` describes.
pub(super) fn shape(schema: &Json) -> Shape {
    Reader { root: schema, within: Vec::new(), left: PARTS_MAX }.shape(schema, 0)
}

struct Reader<'s> {
    root: &'s Json,
    /// The references that are being followed.
    within: Vec<&'s str>,
    left: usize,
}

impl<'s> Reader<'s> {
    fn shape(&mut self, schema: &'s Json, depth: usize) -> Shape {
        let Some(own) = schema.as_object().filter(|_| depth <= DEPTH_MAX && self.left > 0) else {
            return Shape::default();
        };
        self.left -= 1;
        if own.contains_key("$dynamicRef") || own.contains_key("$recursiveRef") {
            return Shape::default();
        }
        let mut shape = self.plain(own, depth + 1);
        if let Some(reference) = own.get("$ref").and_then(Json::as_str) {
            shape = both(shape, self.referred(reference, depth));
        }
        for part in parts(own, "allOf") {
            shape = both(shape, self.shape(part, depth + 1));
        }
        for choice in ["anyOf", "oneOf"] {
            let each = parts(own, choice).iter().map(|part| self.shape(part, depth + 1)).reduce(either);
            shape = each.into_iter().fold(shape, both);
        }
        let dependent = own.get("dependentSchemas").and_then(Json::as_object);
        let conditional = ["then", "else"].into_iter().filter_map(|key| own.get(key));
        for part in conditional.chain(dependent.into_iter().flat_map(Map::values)) {
            let more = self.shape(part, depth + 1);
            shape = allowing(shape, more);
        }
        shape
    }

    /// What the plain keywords say.
    fn plain(&mut self, own: &'s Map<String, Json>, depth: usize) -> Shape {
        let required: BTreeSet<&str> = own
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let properties = own.get("properties").and_then(Json::as_object).into_iter().flatten();
        let members = properties.map(|(name, schema)| {
            let always = required.contains(name.as_str());
            (name.clone(), Member { shape: self.shape(schema, depth), always })
        });
        let mut members: BTreeMap<_, _> = members.collect();
        for name in required {
            let unknown = || Member { always: true, shape: Shape::default() };
            members.entry(name.to_owned()).or_insert_with(unknown);
        }
        let named = own.get("patternProperties").and_then(Json::as_object).into_iter().flat_map(Map::values);
        let others = named.chain(own.get("additionalProperties").filter(|others| others.is_object()));
        let others: Vec<&Json> = others.collect();
        let others = others.into_iter().map(|schema| self.shape(schema, depth)).reduce(either).map(Box::new);
        let places =
            parts(own, "prefixItems").iter().chain(own.get("items").filter(|items| items.is_object()));
        let places: Vec<&Json> = places.collect();
        let items = places.into_iter().map(|schema| self.shape(schema, depth)).reduce(either).map(Box::new);
        let lists = own.contains_key("properties");
        Shape { kinds: kinds(own), members, others, items, words: words(own), lists, objects: 0 }
    }

    fn referred(&mut self, reference: &'s str, depth: usize) -> Shape {
        let target = reference.strip_prefix('#').and_then(|to| self.root.pointer(to));
        let within = self.within.iter().filter(|one| **one == reference).count();
        let Some(target) = target.filter(|_| within < WITHIN_ITSELF_MAX) else { return Shape::default() };
        self.within.push(reference);
        let shape = self.shape(target, depth + 1);
        self.within.pop();
        shape
    }
}

fn parts<'s>(own: &'s Map<String, Json>, key: &str) -> &'s [Json] {
    own.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The values that a schema lists, if it does.
fn listed(own: &Map<String, Json>) -> Option<Vec<&Json>> {
    match (own.get("const"), own.get("enum")) {
        (Some(only), _) => Some(vec![only]),
        (None, Some(Json::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

fn words(own: &Map<String, Json>) -> Option<BTreeSet<String>> {
    Some(listed(own)?.into_iter().filter_map(Json::as_str).map(str::to_owned).collect())
}

fn kinds(own: &Map<String, Json>) -> BTreeSet<&'static str> {
    let named = match own.get("type") {
        Some(Json::String(kind)) => vec![kind.as_str()],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => {
            let values = listed(own).unwrap_or_default();
            let speaks_of = |keys: &[&str]| keys.iter().any(|key| own.contains_key(*key));
            let object = speaks_of(&["properties", "required", "additionalProperties", "patternProperties"]);
            let array = speaks_of(&["items", "prefixItems"]);
            let spoken = [(object, "object"), (array, "array")].into_iter().filter(|(is_so, _)| *is_so);
            values.into_iter().map(type_of).chain(spoken.map(|(_, kind)| kind)).collect()
        }
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

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// What both say: each alone where the other says nothing.
fn both(one: Shape, other: Shape) -> Shape {
    let kinds: BTreeSet<_> = match (one.kinds.is_empty(), other.kinds.is_empty()) {
        (true, _) => other.kinds,
        (_, true) => one.kinds,
        (false, false) => one.kinds.intersection(&other.kinds).copied().collect(),
    };
    let mut members = one.members;
    for (name, member) in other.members {
        let joined = match members.remove(&name) {
            Some(known) => {
                Member { always: known.always || member.always, shape: both(known.shape, member.shape) }
            }
            None => member,
        };
        members.insert(name, joined);
    }
    let words = match (one.words, other.words) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    };
    let (others, items) = (joined(one.others, other.others, both), joined(one.items, other.items, both));
    Shape { kinds, members, others, items, words, lists: one.lists || other.lists, objects: 0 }
}

/// What one of the two says. If one says nothing, nothing is known.
fn either(one: Shape, other: Shape) -> Shape {
    if one.is_unknown() || other.is_unknown() {
        return Shape::default();
    }
    let are_objects = [&one, &other].map(|shape| shape.kinds.contains("object"));
    // What is no text lists no words, and takes away none.
    let words = match ([&one, &other].map(|shape| shape.kinds.contains("text")), one.words, other.words) {
        ([true, true], Some(one), Some(other)) => Some(one.union(&other).cloned().collect()),
        ([true, false], words, _) | ([false, true], _, words) => words,
        _ => None,
    };
    let mut members = one.members;
    if are_objects == [true, true] {
        for (name, member) in &mut members {
            member.always &= other.members.get(name).is_some_and(|other| other.always);
        }
    }
    for (name, mut member) in other.members {
        let joined = match members.remove(&name) {
            Some(known) => Member { always: known.always, shape: either(known.shape, member.shape) },
            None => {
                member.always &= !are_objects[0];
                member
            }
        };
        members.insert(name, joined);
    }
    let kinds = one.kinds.union(&other.kinds).copied().collect();
    let (others, items) = (joined(one.others, other.others, either), joined(one.items, other.items, either));
    // Where one of the objects may have anything, the choice may.
    let lists = (one.lists || !are_objects[0]) && (other.lists || !are_objects[1]);
    Shape { kinds, members, others, items, words, lists, objects: 0 }
}

/// With the members of `more`, which may come and need not.
fn allowing(mut shape: Shape, more: Shape) -> Shape {
    for (name, member) in more.members {
        shape.members.entry(name).or_insert(Member { always: false, shape: member.shape });
    }
    shape
}

fn joined(
    one: Option<Box<Shape>>,
    other: Option<Box<Shape>>,
    join: fn(Shape, Shape) -> Shape,
) -> Option<Box<Shape>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Box::new(join(*one, *other))),
        (one, other) => one.or(other),
    }
}
