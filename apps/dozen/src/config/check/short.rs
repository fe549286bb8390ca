//! Short forms of the file, written out before they are checked.

use super::super::diagnostic::Span;
use super::super::yaml::{Data, Entry, Node};

/// `"GET /orders/{id}": orders` as a route in full.
pub(super) fn long_route(entry: Entry) -> Node {
    let matching = Node::scalar(entry.span, entry.name);
    match entry.node.data {
        // `"/orders": { to: orders, timeout: 2s }`
        Data::Map(mut entries) => {
            entries.insert(0, Entry { name: "match".into(), span: entry.span, node: matching });
            Node { span: entry.span, data: Data::Map(entries) }
        }
        data => {
            let to =
                Node { span: if matches!(data, Data::Null) { entry.span } else { entry.node.span }, data };
            Node::map(entry.span, vec![("match", matching), ("to", to)])
        }
    }
}

/// `GET /orders` or `GET,POST /orders` or `/orders` as the keys of a match.
pub(super) fn request_line(text: &str, span: Span) -> Vec<Entry> {
    let scalar = |text: &str| Node::scalar(span, text);
    let (methods, path) = match text.split_once(char::is_whitespace) {
        Some((methods, path)) => (Some(methods), path.trim_start()),
        None => (None, text),
    };
    let mut entries = vec![("path", scalar(path))];
    if let Some(methods) = methods {
        let methods = methods.split(',').map(scalar).collect();
        entries.push(("method", Node { span, data: Data::List(methods) }));
    }
    match Node::map(span, entries).data {
        Data::Map(entries) => entries,
        _ => Vec::new(),
    }
}
