//! A parameter: how it is spelled, and what it may be.

use std::collections::HashSet;

use dozen_schema::Schema;
use serde_json::{Map, Value as Json};

use super::schema::{Document, Types};
use crate::shape::problem::{Flaw, Part};
use crate::shape::schemas::hold;

/// One parameter of an operation.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) part: Part,
    pub(super) name: String,
    is_required: bool,
    takes_nothing: bool,
    spelling: Spelling,
    schema: Option<Schema>,
}

/// How a value is written.
#[derive(Debug)]
enum Spelling {
    One(Types),
    /// One for each element.
    Repeated(Types),
    /// All elements in one, with this between them.
    Joined(char, Types),
    /// `name[member]=value`.
    Deep(Vec<(String, Types)>),
    /// Each member is a parameter of its own.
    Exploded(Vec<(String, Types)>),
    /// `member,value,member,value`; or `member=value,…`.
    Flat(bool, Vec<(String, Types)>),
    /// A JSON text.
    Json,
    /// In a way that is not read.
    Unread,
}

impl Parameter {
    /// None where the document says something of a header that is none of its business.
    pub(super) fn compile(document: &Document<'_>, written: &Json) -> Result<Option<Self>, String> {
        let text = |key: &str| written.get(key).and_then(Json::as_str);
        let name = text("name").ok_or("a parameter has no name")?.to_owned();
        let wrong = |problem: String| format!("the parameter `{name}` {problem}");
        let part = match text("in") {
            Some("path") => Part::Path,
            Some("query") => Part::Query,
            Some("cookie") => Part::Cookie,
            Some("header") => match name.to_ascii_lowercase().as_str() {
                "accept" | "content-type" | "authorization" => return Ok(None),
                _ => Part::Header,
            },
            _ => return Err(wrong("is in none of `path`, `query`, `header` and `cookie`".into())),
        };
        let flag = |key: &str| written.get(key).and_then(Json::as_bool);
        let (schema, spelling) = match (written.get("schema"), written.get("content")) {
            (Some(schema), _) => (Some(schema), spelling(document, part, written, schema).map_err(wrong)?),
            (None, Some(content)) => {
                let media = content.as_object().and_then(|content| content.iter().next());
                match media {
                    Some((kind, media)) if is_json(kind) => (media.get("schema"), Spelling::Json),
                    _ => (None, Spelling::Unread),
                }
            }
            (None, None) => (None, Spelling::Unread),
        };
        let schema = schema.map(|schema| document.schema(schema)).transpose().map_err(wrong)?;
        Ok(Some(Self {
            part,
            is_required: part == Part::Path || flag("required") == Some(true),
            takes_nothing: flag("allowEmptyValue") == Some(true),
            spelling,
            schema,
            name,
        }))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same_name = match self.part {
            Part::Header => self.name.eq_ignore_ascii_case(&other.name),
            _ => self.name == other.name,
        };
        self.part == other.part && same_name
    }

    /// Holds what was given against it: of a query all of its parameters, else those of this name.
    pub(super) fn hold(&self, given: &[(&str, String)], flaws: &mut Vec<Flaw>) {
        let at = format!("/{}", self.name.replace('~', "~0").replace('/', "~1"));
        let mut flaw = |detail: &str| {
            flaws.push(Flaw { part: self.part, pointer: at.clone(), detail: detail.to_owned() });
        };
        let values: Vec<&str> =
            given.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value.as_str()).collect();
        let value = match &self.spelling {
            Spelling::Deep(members) => {
                let inner = given.iter().filter_map(|(name, value)| {
                    let member = name.strip_prefix(&*self.name)?.strip_prefix('[')?.strip_suffix(']')?;
                    Some((member, value.as_str()))
                });
                let inner: Vec<_> = inner.collect();
                if has_twins(&inner) {
                    return flaw("has a member that is given more than once");
                }
                of_members(inner.into_iter(), members)
            }
            Spelling::Exploded(members) => {
                let is_ours = |name: &str| members.iter().any(|(known, _)| known == name);
                let inner = given.iter().filter(|(name, _)| is_ours(name));
                let inner: Vec<_> = inner.map(|(name, value)| (*name, value.as_str())).collect();
                if has_twins(&inner) {
                    return flaw("has a member that is given more than once");
                }
                of_members(inner.into_iter(), members)
            }
            _ if values.is_empty() => None,
            Spelling::Unread => return,
            Spelling::Repeated(types) => Some(values.iter().map(|value| types.read(value)).collect()),
            _ if values.len() > 1 => return flaw("is given more than once"),
            _ if self.takes_nothing && values[0].is_empty() => return,
            Spelling::One(types) => Some(types.read(values[0])),
            Spelling::Joined(between, types) => {
                let elements = values[0].split(*between).filter(|_| !values[0].is_empty());
                Some(elements.map(|value| types.read(value.trim())).collect())
            }
            Spelling::Flat(is_paired, members) => {
                let pieces: Vec<&str> = values[0].split(',').collect();
                let inner: Vec<(&str, &str)> = match is_paired {
                    true => pieces.iter().filter_map(|piece| piece.split_once('=')).collect(),
                    false => pieces.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
                };
                Some(of_members(inner.into_iter(), members).unwrap_or_else(|| Map::new().into()))
            }
            Spelling::Json => match serde_json::from_str(values[0]) {
                Ok(value) => Some(value),
                Err(_) => return flaw("is no JSON"),
            },
        };
        match value {
            None if self.is_required => flaw("is required"),
            None => {}
            Some(value) => {
                if let Some(schema) = &self.schema {
                    hold(schema, &value, self.part, &at, flaws);
                }
            }
        }
    }
}

/// Whether a member is there twice: who looks at it here and who reads it there need not mean the same one.
fn has_twins(given: &[(&str, &str)]) -> bool {
    let mut names = HashSet::new();
    given.iter().any(|(name, _)| !names.insert(*name))
}

/// An object of these members, if there is one of them.
fn of_members<'g>(
    given: impl Iterator<Item = (&'g str, &'g str)>,
    members: &[(String, Types)],
) -> Option<Json> {
    let types = |name: &str| {
        let known = members.iter().find(|(known, _)| known == name);
        known.map_or_else(Types::default, |(_, types)| *types)
    };
    let object: Map<String, Json> =
        given.map(|(name, value)| (name.to_owned(), types(name).read(value))).collect();
    (!object.is_empty()).then(|| object.into())
}

fn spelling(document: &Document<'_>, part: Part, written: &Json, schema: &Json) -> Result<Spelling, String> {
    let usual = match part {
        Part::Query | Part::Cookie => "form",
        _ => "simple",
    };
    let style = written.get("style").and_then(Json::as_str).unwrap_or(usual);
    let explodes = written.get("explode").and_then(Json::as_bool).unwrap_or(style == "form");
    let types = document.types(schema);
    let known = match part {
        Part::Path => ["simple", "label", "matrix", ""],
        Part::Header => ["simple", "", "", ""],
        Part::Cookie => ["form", "cookie", "", ""],
        _ => ["form", "spaceDelimited", "pipeDelimited", "deepObject"],
    };
    if style.is_empty() || !known.contains(&style) {
        return Err(format!("has a style that its place does not have: `{style}`"));
    }
    if matches!(style, "label" | "matrix") {
        return Ok(Spelling::Unread);
    }
    Ok(match (types.array, types.object) {
        (true, _) => {
            let items = document.items(schema);
            match style {
                "form" if explodes && part == Part::Query => Spelling::Repeated(items),
                "spaceDelimited" if !explodes => Spelling::Joined(' ', items),
                "pipeDelimited" if !explodes => Spelling::Joined('|', items),
                "spaceDelimited" | "pipeDelimited" => Spelling::Repeated(items),
                _ => Spelling::Joined(',', items),
            }
        }
        (false, true) => {
            let members = document.members(schema);
            match style {
                "deepObject" => Spelling::Deep(members),
                "form" if explodes => Spelling::Exploded(members),
                _ => Spelling::Flat(explodes, members),
            }
        }
        (false, false) => Spelling::One(types),
    })
}

/// Whether a content type is that of a JSON document.
pub(super) fn is_json(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}
