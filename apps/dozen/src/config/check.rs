//! Holds a tree against the description: unknown keys, missing keys, values of the wrong kind.
//!
//! Nothing stops at the first mistake. A value that is wrong is left out of the checked tree, so that what depends on
//! it is not reported as wrong too.

mod several;
mod short;

use std::borrow::Cow;

use super::diagnostic::{Mistake, Span, nearest, suggest};
use super::item::{Field, Item, Value};
use super::placeholder::{Surroundings, resolve};
use super::read::read;
use super::schema::{Key, Kind, Presence, Section, Short};
use super::yaml::{Data, Entry, Node};
use super::{data, keys, scalar};
use short::request_line;

/// Collects what is wrong while walking.
pub(crate) struct Checker<'a> {
    pub(crate) around: &'a Surroundings<'a>,
    pub(crate) mistakes: &'a mut Vec<Mistake>,
    /// Secrets that stand in the file itself: what no report shows.
    pub(crate) secrets: Vec<String>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(around: &'a Surroundings<'a>, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { around, mistakes, secrets: Vec::new() }
    }

    pub(crate) fn wrong(&mut self, span: Span, wrong: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake { span, wrong: wrong.into(), help: help.into() });
    }

    /// The checked form of `node`, which belongs to the key at `at`.
    pub(crate) fn check(&mut self, kind: &Kind, node: Node, at: Span) -> Option<Item> {
        match kind {
            Kind::Section(section) => self.section(section, node, at),
            Kind::Switch(section) => match &node.data {
                Data::Scalar { text, plain: true } if text == "true" => {
                    self.section(section, Node::map(node.span, vec![]), at)
                }
                Data::Scalar { text, plain: true } if text == "false" => {
                    Some(Item::new(node.span, Value::Off))
                }
                Data::Map(_) | Data::Null => self.section(section, node, at),
                _ => self.mismatch(kind, &node, at),
            },
            Kind::Named { noun, name, of } => self.named(kind, noun, name, of, node, at),
            Kind::Many(of) => self.many(of, node, at),
            Kind::Command => self.command(node, at),
            Kind::Routes(route) => self.routes(kind, route, node, at),
            Kind::Data => data::json(self, node),
            Kind::Tree => data::tree(self, node),
            Kind::Document => data::document(self, node),
            _ => self.single(kind, node, at),
        }
    }

    fn mismatch(&mut self, kind: &Kind, node: &Node, at: Span) -> Option<Item> {
        let span = if matches!(node.data, Data::Null) { at } else { node.span };
        self.wrong(
            span,
            format!("here should be {}, but there is {}", kind.noun(), node.noun()),
            kind.advice(),
        );
        None
    }

    fn section(&mut self, section: &'static Section, node: Node, at: Span) -> Option<Item> {
        let kind = Kind::Section(section);
        let (span, entries) = match (node.data, section.short) {
            (Data::Map(entries), _) => (node.span, entries),
            (Data::Null, _) => (at, Vec::new()),
            (Data::Scalar { text, .. }, Short::Word(word)) if text == word => (node.span, Vec::new()),
            (Data::Scalar { text, .. }, Short::RequestLine) => (node.span, request_line(&text, node.span)),
            (data @ Data::Scalar { .. }, Short::Key(key)) => {
                (node.span, vec![Entry { name: key.into(), span: at, node: Node { span: node.span, data } }])
            }
            (data @ Data::List(_), Short::Key(key)) if section.is_list(key) => {
                (node.span, vec![Entry { name: key.into(), span: at, node: Node { span: node.span, data } }])
            }
            (data, _) => return self.mismatch(&kind, &Node { span: node.span, data }, at),
        };
        let mut fields: Vec<Field> = Vec::new();
        let mut misspelt = Vec::new();
        for entry in entries {
            let Some(key) = section.key(&entry.name) else {
                misspelt.extend(self.unknown(section, &entry));
                continue;
            };
            if fields.iter().any(|field| field.name == key.name) {
                let alias = key.alias.unwrap_or_default();
                self.wrong(
                    entry.span,
                    format!("`{alias}` and `{}` are one key", key.name),
                    "keep one of the two",
                );
                continue;
            }
            // What is wrong stays as an empty place: its absence would be a second mistake.
            let item = self.check(&key.kind, entry.node, entry.span);
            let item = item.unwrap_or(Item::new(entry.span, Value::Off));
            fields.push(Field { name: key.name.into(), span: entry.span, item, given: true });
        }
        for key in section.keys {
            let meant = misspelt.iter().any(|name| key.name == name || key.alias == Some(name));
            let there = |name: &str| fields.iter().any(|field| field.name == name);
            if !there(key.name) && !meant && key.with.is_none_or(there) {
                fields.extend(self.absent(section, key, at));
            }
        }
        let order = |field: &Field| section.keys.iter().position(|key| key.name == field.name);
        fields.sort_by_key(order);
        Some(Item::new(span, Value::Map(fields)))
    }

    fn absent(&mut self, section: &Section, key: &'static Key, at: Span) -> Option<Field> {
        match key.presence {
            Presence::Optional => None,
            Presence::Required => {
                let wrong = format!("{} needs the key `{}`", section.noun, key.name);
                self.wrong(at, wrong, format!("{} {}", key.doc, sentence(&key.kind.advice())));
                None
            }
            Presence::Default(text) => {
                let node = match text {
                    "{}" => Node::map(at, vec![]),
                    "[]" => Node { span: at, data: Data::List(vec![]) },
                    text => Node::scalar(at, text),
                };
                let item = self.check(&key.kind, node, at)?;
                Some(Field { name: key.name.into(), span: at, item, given: false })
            }
        }
    }

    /// Reports a key that does not exist; the answer is the key that was meant, if one is near.
    fn unknown(&mut self, section: &Section, entry: &Entry) -> Option<String> {
        let name = &entry.name;
        if std::ptr::eq(section, &keys::FILE) && keys::LATER.contains(&name.as_str()) {
            let wrong = format!("`{name}` is not available in this version of dozen");
            self.wrong(entry.span, wrong, "remove the section; the README says which patterns work today");
            return None;
        }
        let near = nearest(name, section.names());
        let help = match &near {
            Some(near) => format!("did you mean `{near}`?"),
            None => suggest(name, "key", section.keys.iter().map(|key| key.name)),
        };
        self.wrong(entry.span, format!("`{name}` is not a key of {}", section.noun), help);
        near
    }

    fn single(&mut self, kind: &Kind, node: Node, at: Span) -> Option<Item> {
        let Data::Scalar { text, .. } = &node.data else { return self.mismatch(kind, &node, at) };
        let (resolved, placeholder) = match resolve(text, node.span, self.around) {
            Ok(None) => (text.clone(), None),
            Ok(Some(resolved)) => (resolved, Some(text.clone())),
            Err(mistake) => {
                self.mistakes.push(mistake);
                return None;
            }
        };
        if placeholder.is_none() {
            self.secrets.extend(secrets_in(kind, text));
        }
        let shown = match kind {
            Kind::Store if placeholder.is_none() => Some(scalar::without_passwords(text)),
            _ => None,
        };
        match read(kind, &resolved) {
            Ok(value) => {
                let placeholder = placeholder.or(shown.filter(|shown| shown != text));
                Some(Item { span: node.span, value, placeholder })
            }
            Err(reason) => {
                // What a placeholder stands for is not repeated, and a long reason may repeat it.
                let reason = match reason {
                    Cow::Borrowed(reason) if !reason.is_empty() => reason.to_owned(),
                    Cow::Owned(reason) if placeholder.is_none() => reason,
                    _ => format!("is not {}", kind.noun()),
                };
                let help = match kind {
                    Kind::Choice(words) if placeholder.is_none() => {
                        match nearest(&resolved, words.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => kind.advice(),
                        }
                    }
                    _ => kind.advice(),
                };
                let shown: String = text.chars().take(80).collect();
                self.wrong(node.span, format!("`{shown}` {reason}"), help);
                None
            }
        }
    }
}

/// The parts of a value that must not be shown.
fn secrets_in(kind: &Kind, text: &str) -> Vec<String> {
    match kind {
        Kind::Secret => vec![text.to_owned()],
        Kind::Store => scalar::passwords(text)
            .into_iter()
            .filter_map(|range| text.get(range).map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}
