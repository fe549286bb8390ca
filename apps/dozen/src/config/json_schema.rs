//! `dozen check --schema`: the description of the file as JSON Schema 2020-12, for editors.

use serde_json::{Value, json};

use super::keys::FILE;
use super::schema::{Key, Kind, Presence, Section, Short};

/// The JSON Schema of `dozen.yaml`.
pub fn schema() -> Value {
    let mut root = section(&FILE);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("dozen.yaml");
    root
}

fn section(section: &Section) -> Value {
    let mut properties = serde_json::Map::new();
    for key in section.keys {
        for name in [Some(key.name), key.alias].into_iter().flatten() {
            properties.insert(name.into(), property(key));
        }
    }
    let (twofold, required): (Vec<&Key>, Vec<&Key>) = section
        .keys
        .iter()
        .filter(|key| key.presence == Presence::Required)
        .partition(|key| key.alias.is_some());
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = required.iter().map(|key| key.name).collect();
    }
    // A key that goes by two names is there under exactly one of them.
    if let Some(key) = twofold.first() {
        object["oneOf"] = json!([{ "required": [key.name] }, { "required": [key.alias] }]);
    }
    object
}

fn property(key: &Key) -> Value {
    let mut property = kind(&key.kind);
    property["description"] = json!(key.doc);
    if let Presence::Default(text) = key.presence {
        property["default"] = match (text, &key.kind) {
            ("{}", _) => json!({}),
            ("[]", _) => json!([]),
            (text, Kind::Flag) => json!(text == "true"),
            (text, Kind::Count(..) | Kind::Port) => text.parse::<u64>().map_or(json!(text), Value::from),
            (text, _) => json!(text),
        };
    }
    property
}

/// Where a placeholder may stand in the place of a number.
fn placeholder() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{" })
}

fn kind(of: &Kind) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": format!("{pattern}|\\$\\{{") });
    let count = |min: u64, max: u64| json!({ "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, placeholder()] });
    const DURATION: &str = "[0-9_]+ ?(ms|s|m|h|d)";
    match of {
        Kind::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Kind::Folder => json!({ "type": "string", "minLength": 1 }),
        Kind::Name => pattern("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        Kind::Topic => pattern("^[A-Za-z0-9*>][A-Za-z0-9._*>-]*$"),
        Kind::Store => pattern("^(sqlite:.+|postgres(ql)?://.+)"),
        Kind::Secret => json!({ "type": ["string", "number"] }),
        Kind::Flag => json!({ "anyOf": [{ "type": "boolean" }, placeholder()] }),
        Kind::Rate => json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, placeholder()] }),
        Kind::Schedule => pattern("^ *([^ ]+ +){4}[^ ]+( +[A-Za-z_+/-][A-Za-z0-9_+:/-]*)? *$"),
        Kind::Data | Kind::Tree => json!({}),
        Kind::Document => json!({ "type": ["string", "object", "boolean"] }),
        Kind::Filter => json!({ "type": "string", "minLength": 1 }),
        Kind::Start => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^(latest|earliest|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$|\\$\\{" }] })
        }
        Kind::Hook => pattern("^https?://[^/]+"),
        Kind::Url => pattern("^(http://[^/]+:[0-9]+|https://[^/]+)/?$"),
        Kind::Address => pattern("^.+:[0-9]+$"),
        Kind::Port => count(1, 65_535),
        Kind::Count(min, max) => count(*min, *max),
        Kind::Duration => pattern(&format!("^{DURATION}$")),
        Kind::Range => pattern(&format!("^{DURATION} ?\\.\\. ?{DURATION}$")),
        Kind::Size => pattern("^[0-9_]+ ?([KMG]i?B|kB|B)$"),
        Kind::Path | Kind::Template => pattern("^/"),
        Kind::Network => pattern("^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"),
        Kind::Target | Kind::Destination => pattern("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(:/.*)?$"),
        Kind::Host => pattern("^(\\*\\.)?[A-Za-z0-9._-]+$"),
        Kind::Method => pattern("^[A-Z]+$"),
        Kind::Choice(words) => json!({ "anyOf": [{ "enum": words }, placeholder()] }),
        Kind::Command => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": kind(&Kind::Text) }] })
        }
        Kind::Many(of) => {
            json!({ "anyOf": [kind(of), { "type": "array", "minItems": 1, "items": kind(of) }] })
        }
        Kind::Named { name, of, .. } => {
            let mut named = json!({ "type": ["object", "null"], "additionalProperties": kind(of) });
            if matches!(name, Kind::Name) {
                named["propertyNames"] = json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" });
            }
            named
        }
        Kind::Section(of) => match of.short {
            Short::None => json!({ "anyOf": [section(of), { "type": "null" }] }),
            Short::Word(word) => json!({ "anyOf": [section(of), { "type": "null" }, { "const": word }] }),
            Short::RequestLine => json!({ "anyOf": [section(of), { "type": "string" }] }),
            Short::Key(key) => {
                let one = of.key(key).map_or(json!({}), |key| kind(&key.kind));
                json!({ "anyOf": [section(of), one] })
            }
        },
        Kind::Switch(of) => json!({ "anyOf": [section(of), { "type": ["boolean", "null"] }] }),
        Kind::Routes(route) => json!({ "anyOf": [
            { "type": "array", "items": kind(route) },
            { "type": ["object", "null"], "additionalProperties": { "type": ["string", "object"] } }
        ] }),
    }
}
