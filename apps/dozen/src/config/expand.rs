//! `dozen check --expanded`: the file in full, with every short form written out and every default filled in.
//!
//! What comes out is a correct file again. Placeholders stay placeholders; a variable that looks like a secret by its
//! name is masked even where the file has its value in the clear, because this output is made to be shown to others.

use std::fmt::Write as _;

use super::item::{Field, Item, Value};

/// The tree as YAML.
pub(crate) fn expanded(file: &Item) -> String {
    let mut text = String::new();
    fields(&mut text, file.fields(), 0, false);
    text
}

fn fields(text: &mut String, fields: &[Field], depth: usize, variables: bool) {
    for field in fields {
        let _ = write!(text, "{}{}:", "  ".repeat(depth), quoted(&field.name));
        let masked = variables && field.item.placeholder.is_none() && is_secret(&field.name);
        if masked {
            text.push_str(" \"***\"\n")
        } else {
            value(text, &field.item, depth, field.name == "env")
        }
    }
}

/// A value after its key: on the same line if it is single, below it otherwise.
fn value(text: &mut String, item: &Item, depth: usize, variables: bool) {
    match &item.value {
        Value::Map(inner) if inner.is_empty() => text.push_str(" {}\n"),
        Value::Map(inner) => {
            text.push('\n');
            fields(text, inner, depth + 1, variables);
        }
        Value::List(items)
            if items.iter().all(|item| !matches!(item.value, Value::Map(_) | Value::List(_))) =>
        {
            let single = |item: &Item| match item.value {
                _ if is_json(item) => item.shown(),
                _ => quoted(&item.shown()),
            };
            let items: Vec<String> = items.iter().map(single).collect();
            let _ = writeln!(text, " [{}]", items.join(", "));
        }
        Value::List(items) => {
            text.push('\n');
            for item in items {
                let mut inner = String::new();
                match item.fields() {
                    [] => value(&mut inner, item, depth + 1, false),
                    own => fields(&mut inner, own, depth + 2, false),
                }
                let indent = "  ".repeat(depth + 1);
                let _ = write!(text, "{indent}- {}", inner.trim_start());
            }
        }
        _ if item.placeholder.is_some() => {
            let _ = writeln!(text, " {}", quoted(&item.shown()));
        }
        Value::Text(_) | Value::Secret(_) | Value::Start(_) => {
            let _ = writeln!(text, " {}", quoted(&item.shown()));
        }
        Value::Json { .. } if !is_json(item) => {
            let _ = writeln!(text, " {}", quoted(&item.shown()));
        }
        _ => {
            let _ = writeln!(text, " {}", item.shown());
        }
    }
}

/// Whether it is shown as JSON, which is YAML already; a text is shown as it is.
fn is_json(item: &Item) -> bool {
    matches!(&item.value, Value::Json { shown, .. } if !shown.is_string())
}

/// In quotes, unless it cannot be read as anything but itself.
fn quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off"].contains(&text);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '.')
        && text.chars().all(|c| word(c) || c == ':')
        && !text.ends_with(':')
        && !reserved;
    // A JSON string is a YAML string.
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "password", "passwd", "token", "key", "credential", "dsn"]
        .iter()
        .any(|word| name.contains(word))
}
