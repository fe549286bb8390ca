//! Schemas out of an OpenAPI document, each made whole by itself.

use dozen_schema::Schema;
use serde_json::{Map, Value as Json, json};

use crate::shape::schemas;

/// References that are followed one after the other.
const REFERENCES_MAX: usize = 16;
/// How deep a schema may nest.
const DEPTH_MAX: usize = 64;
/// Keywords whose members are named by the user, each with a schema.
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords whose value is data.
const DATA: [&str; 5] = ["enum", "const", "default", "example", "examples"];

/// A document, and how its version wants to be read.
pub(super) struct Document<'d> {
    root: &'d Json,
    /// 3.0 has a dialect of its own.
    is_old: bool,
}

impl<'d> Document<'d> {
    pub(super) fn new(root: &'d Json) -> Result<Self, String> {
        let version = root.get("openapi").and_then(Json::as_str).unwrap_or_default();
        let is_old = version.starts_with("3.0.");
        if !is_old && !version.starts_with("3.1.") {
            return Err("is no OpenAPI document of version 3.0 or 3.1".into());
        }
        Ok(Self { root, is_old })
    }

    /// What a value refers to, if it is a reference.
    pub(super) fn resolved<'v>(&self, value: &'v Json) -> Result<&'v Json, String>
    where
        'd: 'v,
    {
        let mut value = value;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = value.get("$ref").and_then(Json::as_str) else { return Ok(value) };
            value = self.at(reference)?;
        }
        Err("its references go round in circles".into())
    }

    fn at(&self, reference: &str) -> Result<&'d Json, String> {
        let pointer = reference.strip_prefix('#');
        let pointer = pointer.ok_or_else(|| format!("`{reference}` is in another document"))?;
        self.root.pointer(&unescaped(pointer)).ok_or_else(|| format!("`{reference}` refers to nothing"))
    }

    /// The schema at `value`, with all that it refers to.
    pub(super) fn schema(&self, value: &Json) -> Result<Schema, String> {
        let mut gathered: Vec<String> = Vec::new();
        let mut whole = self.converted(value, &mut gathered, 0)?;
        let mut definitions = Map::new();
        // What is gathered grows while it is worked off.
        let mut at = 0;
        while let Some(reference) = gathered.get(at).cloned() {
            let definition = self.converted(self.at(&reference)?, &mut gathered, 0)?;
            definitions.insert(format!("s{at}"), definition);
            at += 1;
        }
        if !definitions.is_empty() {
            whole = match whole {
                Json::Object(mut object) => {
                    if let Some(Json::Object(own)) = object.remove("$defs") {
                        definitions.extend(own);
                    }
                    object.insert("$defs".into(), definitions.into());
                    Json::Object(object)
                }
                other => other,
            };
        }
        schemas::compile(&whole)
    }

    fn converted(&self, value: &Json, gathered: &mut Vec<String>, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(format!("a schema is deeper than {DEPTH_MAX} levels"));
        }
        let object = match value {
            Json::Object(object) => object,
            Json::Array(list) => {
                return list.iter().map(|one| self.converted(one, gathered, depth + 1)).collect();
            }
            other => return Ok(other.clone()),
        };
        let mut made = Map::new();
        for (name, inner) in object {
            let inner = match name.as_str() {
                "$ref" => {
                    let reference = inner.as_str().unwrap_or_default();
                    self.at(reference)?;
                    let at = gathered.iter().position(|known| known == reference).unwrap_or_else(|| {
                        gathered.push(reference.to_owned());
                        gathered.len() - 1
                    });
                    format!("#/$defs/s{at}").into()
                }
                name if DATA.contains(&name) => inner.clone(),
                name if NAMED.contains(&name) => match inner {
                    Json::Object(members) => {
                        let members = members.iter().map(|(name, schema)| {
                            Ok((name.clone(), self.converted(schema, gathered, depth + 1)?))
                        });
                        Json::Object(members.collect::<Result<_, String>>()?)
                    }
                    other => other.clone(),
                },
                // Words of OpenAPI that are no keywords of JSON Schema.
                "discriminator" | "xml" | "externalDocs" | "nullable" => continue,
                _ => self.converted(inner, gathered, depth + 1)?,
            };
            made.insert(name.clone(), inner);
        }
        if self.is_old {
            if made.contains_key("$ref") {
                made.retain(|name, _| name == "$ref");
            }
            modernise(object, &mut made);
        }
        self.forget_read_only(object, &mut made);
        Ok(Json::Object(made))
    }

    /// What only answers have need not be in a request.
    fn forget_read_only(&self, object: &Map<String, Json>, made: &mut Map<String, Json>) {
        let Some(properties) = object.get("properties").and_then(Json::as_object) else { return };
        let is_read_only = |name: &str| {
            let property = properties.get(name).and_then(|property| self.resolved(property).ok());
            property.and_then(|property| property.get("readOnly")) == Some(&Json::Bool(true))
        };
        if let Some(Json::Array(required)) = made.get_mut("required") {
            required.retain(|name| !name.as_str().is_some_and(is_read_only));
        }
    }

    /// What a text may stand for, by the type that a schema has.
    pub(super) fn types(&self, schema: &Json) -> Types {
        let mut types = Types::default();
        self.gather_types(schema, &mut types, 0);
        types
    }

    fn gather_types(&self, schema: &Json, types: &mut Types, depth: usize) {
        let Ok(schema) = self.resolved(schema) else { return };
        if depth > 8 {
            return;
        }
        let mut add = |name: &Json| match name.as_str() {
            Some("integer" | "number") => types.number = true,
            Some("boolean") => types.boolean = true,
            Some("null") => types.null = true,
            Some("array") => types.array = true,
            Some("object") => types.object = true,
            _ => types.text = true,
        };
        match schema.get("type") {
            Some(Json::Array(names)) => names.iter().for_each(&mut add),
            Some(name) => add(name),
            None => {}
        }
        if schema.get("nullable") == Some(&Json::Bool(true)) {
            types.null = true;
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for one in schema.get(word).and_then(Json::as_array).into_iter().flatten() {
                self.gather_types(one, types, depth + 1);
            }
        }
    }

    /// The schemas of an object's members, as far as they are said.
    pub(super) fn members(&self, schema: &Json) -> Vec<(String, Types)> {
        let Ok(schema) = self.resolved(schema) else { return Vec::new() };
        let own = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        let mut members: Vec<_> = own.map(|(name, schema)| (name.clone(), self.types(schema))).collect();
        for one in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            members.extend(self.members(one));
        }
        members
    }

    pub(super) fn items(&self, schema: &Json) -> Types {
        let items = self.resolved(schema).ok().and_then(|schema| schema.get("items"));
        items.map_or_else(Types::default, |items| self.types(items))
    }
}

/// What a text may stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) number: bool,
    pub(super) boolean: bool,
    pub(super) null: bool,
    pub(super) text: bool,
    pub(super) array: bool,
    pub(super) object: bool,
}

impl Types {
    /// The value that a text stands for; a text, where it can be nothing else.
    pub(super) fn read(self, text: &str) -> Json {
        let is_bare = !text.is_empty() && !text.contains(char::is_whitespace);
        match text {
            "true" | "false" if self.boolean => (text == "true").into(),
            "" if self.null => Json::Null,
            _ if self.number && is_bare => match serde_json::from_str::<serde_json::Number>(text) {
                Ok(number) => number.into(),
                Err(_) => text.into(),
            },
            _ => text.into(),
        }
    }
}

/// From the dialect of 3.0 to JSON Schema.
fn modernise(object: &Map<String, Json>, made: &mut Map<String, Json>) {
    if object.get("nullable") == Some(&Json::Bool(true)) {
        if let Some(kind) = made.get("type").filter(|kind| kind.is_string()).cloned() {
            made.insert("type".into(), json!([kind, "null"]));
        }
        if let Some(Json::Array(values)) = made.get_mut("enum")
            && !values.contains(&Json::Null)
        {
            values.push(Json::Null);
        }
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match made.get(exclusive) {
            Some(Json::Bool(true)) => {
                if let Some(value) = made.remove(bound) {
                    made.insert(exclusive.into(), value);
                } else {
                    made.remove(exclusive);
                }
            }
            Some(Json::Bool(false)) => drop(made.remove(exclusive)),
            _ => {}
        }
    }
}

/// A JSON pointer as it stands in an URL fragment.
fn unescaped(pointer: &str) -> String {
    crate::shape::translate::plain(pointer)
}
