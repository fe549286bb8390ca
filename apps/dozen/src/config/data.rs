//! Values that are any JSON: a mapping of the file becomes an object, and so on down.

use serde_json::{Map, Number, Value as Json};

use super::bundle;
use super::check::Checker;
use super::item::{Field, Item, Value};
use super::placeholder::resolve;
use super::yaml::{Data, Entry, Node};

/// `node` as JSON, its placeholders filled. What is shown of it keeps them.
pub(crate) fn json(checker: &mut Checker<'_>, node: Node) -> Option<Item> {
    let span = node.span;
    let (value, shown) = both(checker, node)?;
    Some(Item::new(span, Value::Json { value, shown }))
}

/// The same as a tree in which every value has its place, and members keep their order.
pub(crate) fn tree(checker: &mut Checker<'_>, node: Node) -> Option<Item> {
    let span = node.span;
    match node.data {
        Data::Map(entries) => {
            let field = |entry: Entry| {
                let (name, span) = (entry.name, entry.span);
                Some(Field { name, span, item: tree(checker, entry.node)?, given: true })
            };
            Some(Item::new(span, Value::Map(entries.into_iter().map(field).collect::<Option<_>>()?)))
        }
        Data::List(nodes) => {
            let items = nodes.into_iter().map(|node| tree(checker, node));
            Some(Item::new(span, Value::List(items.collect::<Option<_>>()?)))
        }
        _ => json(checker, node),
    }
}

/// A JSON document: one that stands here, or the path of a file that holds it.
pub(crate) fn document(checker: &mut Checker<'_>, node: Node) -> Option<Item> {
    let span = node.span;
    let Data::Scalar { .. } = &node.data else { return json(checker, node) };
    let path = json(checker, node)?;
    let Value::Json { value, shown } = path.value else { return None };
    let Json::String(name) = &value else { return Some(Item::new(span, Value::Json { value, shown })) };
    let read = bundle::read(&checker.around.folder.join(name), checker.around.reads);
    let shown_name = shown.as_str().unwrap_or_default().to_owned();
    match read {
        Ok(value) => Some(Item::new(span, Value::Json { value, shown })),
        Err(why) => {
            let help = format!("relative paths start from {}", checker.around.folder.display());
            checker.wrong(span, format!("cannot read the document `{shown_name}`: {why}"), help);
            None
        }
    }
}

fn both(checker: &mut Checker<'_>, node: Node) -> Option<(Json, Json)> {
    match node.data {
        Data::Null => Some((Json::Null, Json::Null)),
        Data::List(nodes) => {
            let both = nodes.into_iter().map(|node| self::both(checker, node));
            let (values, shown): (Vec<Json>, Vec<Json>) =
                both.collect::<Option<Vec<_>>>()?.into_iter().unzip();
            Some((values.into(), shown.into()))
        }
        Data::Map(entries) => {
            let (mut value, mut shown) = (Map::new(), Map::new());
            for entry in entries {
                let (inner, inner_shown) = self::both(checker, entry.node)?;
                value.insert(entry.name.clone(), inner);
                shown.insert(entry.name, inner_shown);
            }
            Some((value.into(), shown.into()))
        }
        Data::Scalar { text, plain } => match resolve(&text, node.span, checker.around) {
            Ok(Some(resolved)) => Some((resolved.into(), text.into())),
            Ok(None) => {
                let value = word(text, plain);
                Some((value.clone(), value))
            }
            Err(mistake) => {
                checker.mistakes.push(mistake);
                None
            }
        },
    }
}

/// The same for a document of somebody else, which has no placeholders.
pub(crate) fn plain(node: Node) -> Json {
    match node.data {
        Data::Null => Json::Null,
        Data::List(nodes) => nodes.into_iter().map(plain).collect(),
        Data::Map(entries) => {
            entries.into_iter().map(|entry| (entry.name, plain(entry.node))).collect::<Map<_, _>>().into()
        }
        Data::Scalar { text, plain } => word(text, plain),
    }
}

/// A word without quotes may be a number or a word of YAML.
fn word(text: String, plain: bool) -> Json {
    match text.as_str() {
        _ if !plain => text.into(),
        "true" => true.into(),
        "false" => false.into(),
        "null" | "~" => Json::Null,
        _ => match serde_json::from_str::<Number>(&text) {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
    }
}
