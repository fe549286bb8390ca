//! docs/configuration.md, written from the description of the file.

use std::fmt::Write as _;

use super::keys::{FILE, LATER};
use super::schema::{Key, Kind, Presence, Section, Short};

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `dozen check --markdown > docs/configuration.md`; a test compares. -->

One file, `dozen.yaml`, says what the application is; each pattern is one section of it. `dozen check` names every
mistake in it with its line, `dozen check --expanded` prints it with every short form and default written out, and
`dozen check --schema` prints its JSON Schema for your editor.

- **Names** (of services, queues, topics…) have letters, digits, `-`, `_` and `.`, at most 63, and begin with a letter
  or a digit.
- **Durations** are a whole number and a unit: `250ms`, `30s`, `5m`, `2h`, `7d`. A **range** is two of them: `1s..5m`.
- **Sizes** are a whole number and a unit: `512B`, `64KiB`, `4MiB`, `1GiB` (or `KB`, `MB`, `GB` in thousands).
- **Placeholders** may stand in every value: `${env:NAME}`, `${env:NAME:-default}`, `${file:path}`. What they stand for
  is never printed. `$${` is a plain `${`.
- Relative paths start from the folder of the file.
- Anchors and aliases of YAML work, within a bound of 100000 values.
";

/// The manual page of the file.
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    table(&mut text, "The file", &FILE);
    let _ = writeln!(
        text,
        "\nNot in this version, and refused: `{}`. Other values of `broker` and `registry` follow with their engines.",
        LATER.join("`, `")
    );
    for key in FILE.keys {
        nested(&mut text, key.name, &key.kind);
    }
    text
}

/// The tables of the sections below `path`, depth first.
fn nested(text: &mut String, path: &str, kind: &Kind) {
    let (path, section) = match kind {
        Kind::Section(section) | Kind::Switch(section) => (path.to_owned(), section),
        Kind::Named { of, .. } => return nested(text, &format!("{path}.NAME"), of),
        Kind::Routes(of) | Kind::Many(of) => return nested(text, &format!("{path}[]"), of),
        _ => return,
    };
    table(text, &format!("`{path}`"), section);
    for key in section.keys {
        nested(text, &format!("{path}.{}", key.name), &key.kind);
    }
}

fn table(text: &mut String, title: &str, section: &Section) {
    let _ = write!(text, "\n## {title}\n\n| key | value | without it | meaning |\n|---|---|---|---|\n");
    for Key { name, alias, doc, kind, presence, with } in section.keys {
        let names = alias.map_or(format!("`{name}`"), |alias| format!("`{name}` or `{alias}`"));
        let without = match presence {
            Presence::Required => "**required**".to_owned(),
            Presence::Optional => "none".to_owned(),
            Presence::Default("{}" | "[]") if matches!(kind, Kind::Section(_) | Kind::Switch(_)) => {
                "all defaults".to_owned()
            }
            Presence::Default("{}" | "[]") => "none".to_owned(),
            Presence::Default(value) => format!("`{value}`"),
        };
        let doc = match with {
            Some(other) => format!("{doc} Only with `{other}`."),
            None => (*doc).to_owned(),
        };
        let _ = writeln!(text, "| {names} | {} | {without} | {doc} |", value(kind).replace('|', "\\|"));
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text | Kind::Name | Kind::Duration | Kind::Size | Kind::Port | Kind::Folder => {
            kind.noun().trim_start_matches("a ").to_owned()
        }
        Kind::Count(min, max) => format!("number, {min} to {max}"),
        Kind::Topic => "topic, `orders.*` or `orders.>`".into(),
        Kind::Store => "`sqlite:FILE` or `postgres://…`".into(),
        Kind::Secret => "secret, `${env:NAME}`".into(),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Rate => "number a second".into(),
        Kind::Schedule => "schedule".into(),
        Kind::Data | Kind::Tree => "any value".into(),
        Kind::Document => "file, or mapping".into(),
        Kind::Filter => "CEL".into(),
        Kind::Start => "`latest`, `earliest`, moment or position".into(),
        Kind::Hook => "`https://host/path`".into(),
        Kind::Command => "`[command, argument…]` or one line".into(),
        Kind::Url => "`http://host:port`, `https://host`".into(),
        Kind::Address => "`address:port`".into(),
        Kind::Range => "range of durations".into(),
        Kind::Path => "path".into(),
        Kind::Template => "path template".into(),
        Kind::Target | Kind::Destination => "`service` or `service:/path`".into(),
        Kind::Network => "IP address or network".into(),
        Kind::Host => "host".into(),
        Kind::Method => "`GET`, `POST`…".into(),
        Kind::Choice(words) => format!("`{}`", words.join("` or `")),
        Kind::Many(of) => format!("{}; or a list", value(of)),
        Kind::Named { noun, of: Kind::Text, .. } => format!("mapping from {noun} to text"),
        Kind::Named { noun, .. } => format!("mapping, one entry for each {noun}"),
        Kind::Section(Section { short: Short::Word(word), .. }) => format!("`{word}` or a mapping"),
        Kind::Section(Section { short: Short::RequestLine, .. }) => "mapping, or `GET /path`".into(),
        Kind::Section(of @ Section { short: Short::Key(key), .. }) => match of.key(key) {
            Some(key) => format!("{}, or a mapping", value(&key.kind)),
            None => "mapping".into(),
        },
        Kind::Section(_) => "mapping".into(),
        Kind::Switch(_) => "mapping, `true` or `false`".into(),
        Kind::Routes(_) => "list of routes, or a mapping from request line to target".into(),
    }
}
