//! YAML with positions, and with bounds.
//!
//! The parser hands out events; this file makes a tree of them in which every key and value knows where it stands.
//! What could make a small file into a large tree is bounded: bytes, depth, and the number of nodes *after* aliases
//! were resolved, so that "a billion laughs" is a mistake with a line number and not an outage.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::diagnostic::{Mistake, Span};

/// The longest file.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// The deepest nesting.
const DEPTH_MAX: usize = 32;
/// The largest tree.
const NODES_MAX: usize = 100_000;

/// A value and where it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Data {
    #[default]
    Null,
    /// `plain` means written without quotes, so that `true` and `null` are words of YAML.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn scalar(span: Span, text: impl Into<String>) -> Self {
        Self { span, data: Data::Scalar { text: text.into(), plain: true } }
    }

    pub(crate) fn map(span: Span, entries: Vec<(&str, Node)>) -> Self {
        let entry = |(name, node): (&str, Node)| Entry { name: name.to_owned(), span, node };
        Self { span, data: Data::Map(entries.into_iter().map(entry).collect()) }
    }

    /// What it is, for "… but this is a list".
    pub(crate) fn noun(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Scalar { .. } => "a single value",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    fn size(&self) -> usize {
        1 + match &self.data {
            Data::Null | Data::Scalar { .. } => 0,
            Data::List(nodes) => nodes.iter().map(Self::size).sum(),
            Data::Map(entries) => entries.iter().map(|entry| 1 + entry.node.size()).sum(),
        }
    }
}

/// Reads the one document of `text`. A file that is not YAML is one mistake: what follows it means nothing.
/// Duplicate keys are collected in `mistakes`; the first of them counts.
pub(crate) fn parse(text: &str, mistakes: &mut Vec<Mistake>) -> Result<Node, Mistake> {
    let mut builder =
        Builder { open: Vec::new(), anchors: HashMap::new(), nodes: 0, documents: 0, root: None, mistakes };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            let span = Span { line: at.line(), column: at.col() + 1, length: 1 };
            mistake(span, format!("this is not YAML: {}", error.info()), advice(text, span.line))
        })?;
        builder.take(event, place(&span))?;
    }
    Ok(builder.root.unwrap_or_default())
}

fn place(span: &saphyr_parser::Span) -> Span {
    let length = if span.end.line() == span.start.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        usize::MAX // to the end of its first line
    };
    Span { line: span.start.line(), column: span.start.col() + 1, length }
}

fn mistake(span: Span, wrong: impl Into<String>, help: impl Into<String>) -> Mistake {
    Mistake { span, wrong: wrong.into(), help: help.into() }
}

/// The usual reasons for a syntax error, told from the line itself.
fn advice(text: &str, line: usize) -> &'static str {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    if line.contains('\t') {
        "YAML is indented with spaces, never with tabs"
    } else {
        "check the indentation, the brackets and the quotes of this line and of the one above; a value that \
         holds `: ` or begins with one of {}[]*&!|>%@` needs quotes"
    }
}

/// A collection that is still open.
enum Open {
    List(Span, usize, Vec<Node>),
    Map { span: Span, anchor: usize, entries: Vec<Entry>, key: Option<(String, Span)> },
}

struct Builder<'a> {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
    mistakes: &'a mut Vec<Mistake>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 1 {
                    return Ok(());
                }
                Err(mistake(
                    span,
                    "a second document begins here",
                    "keep one document in one file; remove `---`",
                ))
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let data = match text.as_ref() {
                    "" | "~" | "null" if plain => Data::Null,
                    _ => Data::Scalar { text: text.into_owned(), plain },
                };
                self.put(Node { span, data }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    // Counted before it is put, so that doubling stops at the bound and not at the memory's end.
                    self.count(node.size(), span)?;
                    self.put(Node { span, ..node }, 0)
                }
                None => Err(mistake(span, "this alias stands inside what it names", "write the value out")),
            },
            Event::SequenceStart(anchor, _) => self.begin(Open::List(span, anchor, Vec::new()), span),
            Event::MappingStart(anchor, _) => {
                self.begin(Open::Map { span, anchor, entries: Vec::new(), key: None }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(span, anchor, nodes)) => {
                    self.put(Node { span, data: Data::List(nodes) }, anchor)
                }
                Some(Open::Map { span, anchor, entries, .. }) => {
                    self.put(Node { span, data: Data::Map(entries) }, anchor)
                }
                None => Ok(()),
            },
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let wrong = format!("the file holds more than {NODES_MAX} values");
        Err(mistake(span, wrong, "aliases count as what they stand for; write less"))
    }

    fn begin(&mut self, open: Open, span: Span) -> Result<(), Mistake> {
        self.open.push(open);
        if self.open.len() <= DEPTH_MAX {
            return Ok(());
        }
        let wrong = format!("this is nested more than {DEPTH_MAX} levels deep");
        Err(mistake(span, wrong, "no part of the file needs that"))
    }

    /// Adds a finished node to what is open around it.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        self.count(1, node.span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, _, nodes)) => nodes.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some((name_of(&node)?, node.span)),
                Some((name, span)) => match entries.iter().find(|entry| entry.name == name) {
                    Some(first) => self.mistakes.push(mistake(
                        span,
                        format!("the key `{name}` stands here a second time"),
                        format!("it stands on line {} already; keep one of the two", first.span.line),
                    )),
                    None => entries.push(Entry { name, span, node }),
                },
            },
        }
        Ok(())
    }
}

fn name_of(node: &Node) -> Result<String, Mistake> {
    match &node.data {
        Data::Scalar { text, .. } => Ok(text.clone()),
        _ => Err(mistake(
            node.span,
            format!("a key is a word, but this is {}", node.noun()),
            "put it in quotes",
        )),
    }
}
