//! Values that are made of several: mappings from names, lists, commands and routes.

use super::super::diagnostic::Span;
use super::super::item::{Field, Item, Value};
use super::super::schema::Kind;
use super::super::yaml::{Data, Node};
use super::super::{scalar, template};
use super::Checker;
use super::short::long_route;

impl Checker<'_> {
    pub(super) fn named(
        &mut self,
        kind: &Kind,
        noun: &str,
        name: &Kind,
        of: &Kind,
        node: Node,
        at: Span,
    ) -> Option<Item> {
        let span = node.span;
        let entries = match node.data {
            Data::Map(entries) => entries,
            Data::Null => Vec::new(),
            data => return self.mismatch(kind, &Node { span, data }, at),
        };
        let mut fields = Vec::new();
        for entry in entries {
            if matches!(name, Kind::Name) && !template::is_name(&entry.name) {
                let wrong = format!("`{}` cannot be the name of a {noun}", entry.name);
                self.wrong(entry.span, wrong, name.advice());
                continue;
            }
            if matches!(name, Kind::Text) && (entry.name.is_empty() || entry.name.contains(['=', '\0'])) {
                let wrong = format!("`{}` cannot be the name of a {noun}", entry.name);
                self.wrong(entry.span, wrong, "use letters, digits and `_`");
                continue;
            }
            // A variable that is set to nothing is an empty text, not a mistake.
            let node = match (of, &entry.node.data) {
                (Kind::Text, Data::Null) => Node::scalar(entry.span, ""),
                _ => entry.node,
            };
            let item = self.check(of, node, entry.span).unwrap_or(Item::new(entry.span, Value::Off));
            fields.push(Field { name: entry.name, span: entry.span, item, given: true });
        }
        Some(Item::new(span, Value::Map(fields)))
    }

    pub(super) fn many(&mut self, of: &Kind, node: Node, at: Span) -> Option<Item> {
        let span = node.span;
        let nodes = match node.data {
            Data::List(nodes) => nodes,
            data => vec![Node { span, data }],
        };
        if nodes.is_empty() {
            self.wrong(span, "this list is empty", of.advice());
            return None;
        }
        let count = nodes.len();
        let items: Vec<Item> = nodes.into_iter().filter_map(|node| self.check(of, node, at)).collect();
        (items.len() == count).then(|| Item::new(span, Value::List(items)))
    }

    pub(super) fn command(&mut self, node: Node, at: Span) -> Option<Item> {
        let span = node.span;
        let items = match node.data {
            Data::List(nodes) => {
                let count = nodes.len();
                let items: Vec<Item> =
                    nodes.into_iter().filter_map(|node| self.check(&Kind::Text, node, at)).collect();
                if items.len() < count {
                    return None;
                }
                items
            }
            // Cut into words before placeholders are filled: a secret with a space in it stays one word.
            Data::Scalar { text, .. } => match scalar::words(&text) {
                Ok(words) => {
                    let word = |word: String| self.check(&Kind::Text, Node::scalar(span, word), at);
                    words.into_iter().map(word).collect::<Option<_>>()?
                }
                Err(why) => {
                    self.wrong(span, format!("the command {why}"), Kind::Command.advice());
                    return None;
                }
            },
            data => return self.mismatch(&Kind::Command, &Node { span, data }, at),
        };
        if items.first().is_none_or(|item| item.as_text().is_none_or(str::is_empty)) {
            self.wrong(span, "the command is empty", Kind::Command.advice());
            return None;
        }
        Some(Item::new(span, Value::List(items)))
    }

    pub(super) fn routes(&mut self, kind: &Kind, route: &Kind, node: Node, at: Span) -> Option<Item> {
        let span = node.span;
        let nodes: Vec<Node> = match node.data {
            Data::List(nodes) => nodes,
            Data::Null => Vec::new(),
            Data::Map(entries) => entries.into_iter().map(long_route).collect(),
            data => return self.mismatch(kind, &Node { span, data }, at),
        };
        let check = |node: Node| {
            let at = node.span;
            match node.data {
                Data::Map(_) => self.check(route, node, at),
                _ => self.mismatch(route, &node, at),
            }
        };
        Some(Item::new(span, Value::List(nodes.into_iter().filter_map(check).collect())))
    }
}
