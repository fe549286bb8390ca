//! The bodies that an operation takes, by their content types.

use dozen_schema::Schema;
use http::StatusCode;
use serde_json::{Map, Value as Json};

use super::parameter::is_json;
use super::schema::{Document, Types};
use crate::shape::problem::{Flaw, Part, Refused};
use crate::shape::schemas::{hold, pairs};
use crate::shape::stopped::no_json;

/// What an operation takes.
#[derive(Debug)]
pub(super) struct Bodies {
    is_required: bool,
    kinds: Vec<Kind>,
}

/// One content type, and what a body of it has to be.
#[derive(Debug)]
struct Kind {
    /// `application/json`, `text/*`, `*/*`.
    range: String,
    schema: Option<Schema>,
    form: Vec<(String, Types, Types)>,
}

impl Bodies {
    pub(super) fn compile(document: &Document<'_>, written: &Json) -> Result<Self, String> {
        let is_required = written.get("required").and_then(Json::as_bool) == Some(true);
        let content = written.get("content").and_then(Json::as_object).into_iter().flatten();
        let mut kinds = Vec::new();
        for (range, media) in content {
            let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let schema = media.get("schema").filter(|_| !range.starts_with("multipart/"));
            let form = match (range.as_str(), schema) {
                ("application/x-www-form-urlencoded", Some(schema)) => {
                    let properties = document.resolved(schema)?.get("properties").and_then(Json::as_object);
                    let members = properties.into_iter().flatten();
                    members
                        .map(|(name, one)| (name.clone(), document.types(one), document.items(one)))
                        .collect()
                }
                _ => Vec::new(),
            };
            let schema = schema.map(|schema| document.schema(schema)).transpose();
            let schema = schema.map_err(|problem| format!("the schema of `{range}` {problem}"))?;
            kinds.push(Kind { range, schema, form });
        }
        // The nearest first: a type, all of a kind, all.
        kinds.sort_by_key(|kind| kind.range.matches('*').count());
        Ok(Self { is_required, kinds })
    }

    pub(super) fn hold(
        &self,
        bytes: &[u8],
        media_type: Option<&str>,
        flaws: &mut Vec<Flaw>,
    ) -> Result<(), Refused> {
        if bytes.is_empty() && (!self.is_required || media_type.is_none()) {
            if self.is_required {
                return Err(Refused::new(StatusCode::BAD_REQUEST, "a body is required"));
            }
            return Ok(());
        }
        let found = media_type.and_then(|media_type| self.kinds.iter().find(|kind| kind.takes(media_type)));
        let Some(kind) = found else {
            let detail = "the body has a content type that is not taken here";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        };
        let Some(schema) = &kind.schema else { return Ok(()) };
        let media_type = media_type.unwrap_or_default();
        let document: Json = if is_json(media_type) {
            serde_json::from_slice(bytes).map_err(|error| no_json(&error))?
        } else if media_type == "application/x-www-form-urlencoded" {
            let text = std::str::from_utf8(bytes);
            let unread = |_| Refused::new(StatusCode::BAD_REQUEST, "the body cannot be read");
            kind.form(text.map_err(unread)?)
        } else if let (true, Ok(text)) = (media_type.starts_with("text/"), std::str::from_utf8(bytes)) {
            text.into()
        } else {
            return Ok(());
        };
        hold(schema, &document, Part::Body, "", flaws);
        Ok(())
    }
}

impl Kind {
    fn takes(&self, media_type: &str) -> bool {
        match self.range.strip_suffix('*') {
            Some("*/") => true,
            Some(prefix) => media_type.starts_with(prefix),
            None => self.range == media_type,
        }
    }

    fn form(&self, text: &str) -> Json {
        let mut object = Map::new();
        for (name, value) in pairs(Some(text)) {
            let known = self.form.iter().find(|(known, ..)| *known == name);
            let (types, items) = known.map_or_else(Default::default, |(_, types, items)| (*types, *items));
            let read = if types.array { items.read(&value) } else { types.read(&value) };
            match object.get_mut(&name) {
                Some(Json::Array(list)) => list.push(read),
                Some(single) => *single = Json::Array(vec![single.take(), read]),
                None if types.array => drop(object.insert(name, Json::Array(vec![read]))),
                None => drop(object.insert(name, read)),
            }
        }
        object.into()
    }
}
