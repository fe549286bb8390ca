//! What a JSON Schema says of a path, as far as it can be said without guessing.
//!
//! Only what stands plainly is believed: `type`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`,
//! `enum`, `const`, and `$ref` within the document. Beside a keyword that chooses between schemas nothing is known, and
//! what is not known may be missing.

use serde_json::{Map, Value as Json};

use super::path::{Origin, Path, Step};

/// How many `$ref` may lead to each other.
const REFERENCES_MAX: usize = 16;

/// Keywords that make a schema more than its plain ones say.
const CHOICES: [&str; 9] = [
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "$dynamicRef",
    "$recursiveRef",
    "dependentSchemas",
    "dependencies",
];

/// A part of a schema, or nothing where nothing is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'s> {
    root: &'s Json,
    own: Option<&'s Map<String, Json>>,
}

/// What is known of the values at a path.
#[derive(Clone, Debug)]
pub(super) struct Known<'s> {
    pub(super) part: Part<'s>,
    /// Whether there is always at least one, and it is not null.
    pub(super) sure: bool,
    /// Whether there is never more than one.
    pub(super) single: bool,
    /// Whether there are always several or none: a list.
    pub(super) list: bool,
    /// A member that the schema rules out, and those that it has there.
    pub(super) never: Option<(String, Vec<&'s str>)>,
}

impl<'s> Part<'s> {
    pub(super) fn of(root: &'s Json) -> Self {
        Self { root, own: None }.at(root)
    }

    pub(super) fn unknown(self) -> Self {
        Self { own: None, ..self }
    }

    /// Another part of the same document, references followed.
    fn at(self, schema: &'s Json) -> Self {
        let mut schema = schema;
        for _ in 0..REFERENCES_MAX {
            let Some(own) = schema.as_object() else { break };
            if CHOICES.iter().any(|choice| own.contains_key(*choice)) {
                break;
            }
            match own.get("$ref").and_then(Json::as_str) {
                None => return Self { own: Some(own), ..self },
                Some(reference) => match reference.strip_prefix('#').and_then(|to| self.root.pointer(to)) {
                    Some(target) => schema = target,
                    None => break,
                },
            }
        }
        self.unknown()
    }

    /// Its types; none where they are not said.
    pub(super) fn types(self) -> Option<Vec<&'s str>> {
        let own = self.own?;
        match own.get("type") {
            Some(Json::String(kind)) => Some(vec![kind]),
            Some(Json::Array(kinds)) => Some(kinds.iter().filter_map(Json::as_str).collect()),
            _ => self.values().map(|values| values.iter().map(|value| kind_of(value)).collect()),
        }
    }

    /// The values that there may be, where they are listed.
    pub(super) fn values(self) -> Option<Vec<&'s Json>> {
        let own = self.own?;
        match (own.get("const"), own.get("enum")) {
            (Some(only), _) => Some(vec![only]),
            (None, Some(Json::Array(values))) => Some(values.iter().collect()),
            _ => None,
        }
    }

    pub(super) fn format(self) -> Option<&'s str> {
        self.own?.get("format")?.as_str()
    }

    /// The names of its properties.
    pub(super) fn names(self) -> impl Iterator<Item = &'s str> + Clone {
        let properties = self.own.and_then(|own| own.get("properties")).and_then(Json::as_object);
        properties.into_iter().flat_map(|named| named.keys().map(String::as_str))
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'s str> {
        let required = self.own.and_then(|own| own.get("required")).and_then(Json::as_array);
        required.into_iter().flatten().filter_map(Json::as_str)
    }

    /// The part of a property; none where there can be no such property.
    pub(super) fn property(self, name: &str) -> Option<Self> {
        let Some(own) = self.own else { return Some(self) };
        if let Some(named) = own.get("properties").and_then(|properties| properties.get(name)) {
            return Some(self.at(named));
        }
        match own.get("additionalProperties") {
            _ if own.contains_key("patternProperties") => Some(self.unknown()),
            Some(Json::Bool(false)) => None,
            Some(other @ Json::Object(_)) => Some(self.at(other)),
            _ => Some(self.unknown()),
        }
    }

    /// Whether properties that are not named are plainly allowed.
    pub(super) fn is_open(self) -> bool {
        self.own.is_none_or(|own| {
            own.contains_key("patternProperties")
                || !own.contains_key("properties")
                || own.get("additionalProperties").is_some_and(|other| *other != Json::Bool(false))
        })
    }

    /// The part of the elements.
    pub(super) fn items(self) -> Self {
        match self.own.and_then(|own| own.get("items")) {
            Some(items @ Json::Object(_)) if self.own.is_some_and(|own| !own.contains_key("prefixItems")) => {
                self.at(items)
            }
            _ => self.unknown(),
        }
    }

    /// What is known at a path, which begins in one of these scopes.
    pub(super) fn look(scopes: &[Self], path: &Path) -> Known<'s> {
        let nowhere = Part { root: &Json::Null, own: None };
        let start = match path.origin {
            Origin::Here => scopes.last(),
            Origin::Root => scopes.first(),
            Origin::Out(count) => scopes.len().checked_sub(count + 1).and_then(|at| scopes.get(at)),
        };
        let part = start.copied().unwrap_or(nowhere);
        let mut known = Known { part, sure: part.own.is_some(), single: true, list: false, never: None };
        for step in &path.steps {
            known.go(step);
        }
        // A list at the end counts by its elements.
        known.open_list();
        if known.part.types().is_none_or(|types| types.contains(&"null")) {
            known.sure = false;
        }
        known
    }
}

impl Known<'_> {
    fn go(&mut self, step: &Step) {
        match step {
            Step::Member(name) => {
                self.open_list();
                let is_object = self.part.types().is_some_and(|types| types == ["object"]);
                let required = self.part.required().any(|own| *own == **name);
                self.sure &= is_object && required;
                match self.part.property(name) {
                    Some(part) => self.part = part,
                    None => {
                        let names = self.part.names().collect();
                        self.never.get_or_insert_with(|| (name.to_string(), names));
                        self.part = self.part.unknown();
                    }
                }
            }
            Step::Index(_) => {
                self.sure = false;
                self.part = self.part.items();
            }
            Step::Each => match self.part.types() {
                Some(types) if types == ["array"] => self.open_list(),
                _ => {
                    self.sure = false;
                    self.single = false;
                    self.part = self.part.unknown();
                }
            },
        }
    }

    /// Into the elements, where there is a list.
    fn open_list(&mut self) {
        match self.part.types() {
            None => self.single &= false,
            Some(types) if types == ["array"] => {
                self.sure = false;
                self.single = false;
                self.list = true;
                self.part = self.part.items();
            }
            Some(types) if types.contains(&"array") => {
                self.sure = false;
                self.single = false;
                self.part = self.part.unknown();
            }
            Some(_) => {}
        }
    }
}

/// The type of a value in JSON Schema's words.
pub(super) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
