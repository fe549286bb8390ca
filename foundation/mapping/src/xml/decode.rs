//! From text to a tree.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::scope::{Namespace, Scope};
use super::{Mixed, Xml, is_name, is_sign};
use crate::error::{DecodeError, Position, shown};
use crate::limits::Limits;
use crate::names::Names;
use crate::value::{Object, Shape, Value};

/// Reads one document: an object with one member, the root element.
pub(crate) fn decode(text: &str, options: &Xml, limits: &Limits) -> Result<Value, DecodeError> {
    if text.len() > limits.size {
        return Err(DecodeError::TooLarge { bytes: text.len(), limit: limits.size });
    }
    // The parser looks at markup alone, so the rest is looked at here, once for the whole document.
    if let Some(at) = first_wrong(text.as_bytes()) {
        let problem = "a control character stands here, which XML does not have";
        return Err(DecodeError::malformed(Position::in_text(text, at), problem));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().check_comments = true;
    let mut decoder = Decoder {
        text,
        reader,
        options,
        limits,
        scope: Scope::new(&options.ns),
        names: Names::default(),
        left: limits.nodes,
        start: 0,
        shapes: Vec::new(),
    };
    decoder.document()
}

struct Decoder<'t> {
    text: &'t str,
    reader: Reader<&'t [u8]>,
    options: &'t Xml,
    limits: &'t Limits,
    scope: Scope<'t>,
    names: Names,
    /// How many values may still come.
    left: usize,
    /// Where the event that is looked at begins.
    start: usize,
    /// What elements with members begin with, by how deep they stand: those that follow each other are mostly alike.
    shapes: Vec<Option<Arc<Shape>>>,
}

/// An element that is open.
struct Element<'t> {
    name: Arc<str>,
    namespace: Namespace,
    nil: bool,
    /// Where it begins.
    start: usize,
    /// How many elements are around it.
    depth: usize,
    object: Object,
    /// The namespace of each member: two of them must not become one name.
    namespaces: Vec<Namespace>,
    text: Cow<'t, str>,
    /// How many declarations were in force around it.
    mark: usize,
}

impl<'t> Decoder<'t> {
    fn document(&mut self) -> Result<Value, DecodeError> {
        let mut open: Vec<Element<'t>> = Vec::new();
        let mut root = None;
        loop {
            match self.next()? {
                Event::Start(start) if root.is_none() || !open.is_empty() => {
                    if open.len() == self.limits.depth() {
                        return Err(self.too_much("levels of nesting", self.limits.depth()));
                    }
                    open.push(self.element(&start, open.len())?);
                }
                Event::Start(_) => return Err(self.wrong("there is a second root element")),
                Event::End(_) => {
                    let Some(element) = open.pop() else { return Err(self.wrong("nothing is open here")) };
                    self.scope.leave(element.mark);
                    self.start = element.start;
                    let (name, namespace) = (element.name.clone(), element.namespace);
                    let value = self.close(element)?;
                    match open.last_mut() {
                        Some(parent) => self.put(parent, name, namespace, value)?,
                        None => root = Some(Value::object([(name, value)])),
                    }
                }
                Event::Text(piece) => self.text(open.last_mut(), piece.into_inner())?,
                Event::CData(piece) => match open.last_mut() {
                    Some(element) => push_lines(&mut element.text, piece.into_inner()),
                    None => return Err(self.wrong("text stands outside of the root element")),
                },
                Event::GeneralRef(name) => {
                    let sign = self.reference(&name)?;
                    match open.last_mut() {
                        Some(element) => element.text.to_mut().push(sign),
                        None => return Err(self.wrong("text stands outside of the root element")),
                    }
                }
                Event::DocType(_) => {
                    return Err(
                        self.wrong("a document type declaration is refused; entities are declared there")
                    );
                }
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => self.count()?,
                Event::Eof => break,
            }
        }
        match root {
            Some(root) if open.is_empty() => Ok(root),
            _ => Err(self.wrong("the document ends too early")),
        }
    }

    fn next(&mut self) -> Result<Event<'t>, DecodeError> {
        self.start = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        self.reader.read_event().map_err(|error| {
            let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
            // The parser's own words name an element at most.
            DecodeError::malformed(Position::in_text(self.text, at), shown(&error.to_string()))
        })
    }

    fn element(&mut self, start: &BytesStart<'_>, depth: usize) -> Result<Element<'t>, DecodeError> {
        self.count()?;
        let mark = self.scope.mark();
        let mut attributes = Vec::new();
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| self.wrong("an attribute is `name=\"value\"`"))?;
            let name = attribute.key.as_ref();
            let value = self.attribute(&attribute.value)?;
            match name.split_once(':') {
                None if name == "xmlns" => self.scope.declare("", &value),
                // Only the namespace of names without a prefix can be taken away, and `xml` is one of the language.
                Some(("xmlns", "xml" | "xmlns")) => {
                    return Err(self.wrong("the prefixes `xml` and `xmlns` cannot be declared"));
                }
                Some(("xmlns", prefix)) if value.is_empty() => {
                    return Err(self.wrong(format!("the prefix `{}` has no namespace", shown(prefix))));
                }
                Some(("xmlns", prefix)) => self.scope.declare(prefix, &value),
                _ if attributes.len() == self.limits.attributes => {
                    return Err(self.too_much("attributes at one element", self.limits.attributes));
                }
                _ => attributes.push((name.to_owned(), value)),
            }
            let most = self.scope.mark().max(self.scope.addresses());
            if most > self.limits.attributes {
                return Err(self.too_much("namespaces in scope", self.limits.attributes));
            }
        }
        let (name, namespace) = self.resolve(start.name().as_ref(), "")?;
        let mut element = Element {
            name,
            namespace,
            nil: false,
            start: self.start,
            depth,
            object: Object::default(),
            namespaces: Vec::new(),
            text: Cow::Borrowed(""),
            mark,
        };
        for (name, value) in attributes {
            self.count()?;
            let (name, namespace) = self.resolve(&name, "@")?;
            match &*name {
                "@xsi:nil" => element.nil = matches!(value.as_str(), "true" | "1"),
                "@xsi:schemaLocation" | "@xsi:noNamespaceSchemaLocation" => {}
                _ if element.object.get(&name).is_some() => {
                    return Err(self.wrong(format!("the attribute `{}` is there twice", shown(&name))));
                }
                _ => self.put(&mut element, name, namespace, Value::text(value))?,
            }
        }
        Ok(element)
    }

    /// What the tree calls a name of the document, and its namespace. An attribute without a prefix is in none.
    fn resolve(&mut self, name: &str, sign: &str) -> Result<(Arc<str>, Namespace), DecodeError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !is_name(local) {
            return Err(self.wrong(format!("`{}` is no name", shown(name))));
        }
        let namespace = match (prefix, sign) {
            ("", "@") => Namespace::None,
            _ => match self.scope.of(prefix) {
                Some(namespace) => namespace,
                None => return Err(self.wrong(format!("the prefix `{}` is not declared", shown(prefix)))),
            },
        };
        let own = match self.scope.called(namespace) {
            Some(prefix) => self.names.get(&format!("{sign}{prefix}:{local}")),
            None if sign.is_empty() => self.names.get(local),
            None => self.names.get(&format!("{sign}{local}")),
        };
        Ok((own, namespace))
    }

    /// Makes an element a member of the one around it.
    fn put(
        &self,
        parent: &mut Element<'t>,
        name: Arc<str>,
        namespace: Namespace,
        value: Value,
    ) -> Result<(), DecodeError> {
        if parent.object.is_empty() {
            parent.object = Object::like(self.shapes.get(parent.depth).cloned().flatten());
        }
        let known = if parent.object.expects(&name) { None } else { parent.object.place(&name) };
        let Some(place) = known else {
            let is_list = self.options.lists.iter().any(|list| **list == *name);
            parent.namespaces.push(namespace);
            parent.object.push_new(&name, if is_list { Value::List(vec![value]) } else { value });
            return Ok(());
        };
        if parent.namespaces[place] != namespace {
            let problem = format!("`{}` stands here in two namespaces; declare them in `ns`", shown(&name));
            return Err(self.wrong(problem));
        }
        match parent.object.at_mut(place) {
            Some(Value::List(list)) => list.push(value),
            Some(single) => {
                let first = std::mem::take(single);
                *single = Value::List(vec![first, value]);
            }
            None => {}
        }
        Ok(())
    }

    fn close(&mut self, element: Element<'t>) -> Result<Value, DecodeError> {
        let Element { mut object, text, nil, depth, .. } = element;
        let has_elements = object.iter().any(|(name, _)| !name.starts_with('@'));
        let blank = text.trim_ascii().is_empty();
        if nil {
            return match has_elements || !blank {
                true => Err(self.wrong("an element that is nil has content")),
                false => Ok(Value::Null),
            };
        }
        if object.is_empty() {
            return Ok(Value::text(text));
        }
        if !blank {
            if has_elements && self.options.mixed == Mixed::Refuse {
                return Err(self.wrong("text stands beside elements; `mixed: join` would take it"));
            }
            object.insert(self.names.get("#text"), Value::text(text));
        }
        self.learn(&object, depth);
        Ok(Value::Object(object))
    }

    fn learn(&mut self, object: &Object, depth: usize) {
        if self.shapes.len() <= depth {
            self.shapes.resize(depth + 1, None);
        }
        let known = &mut self.shapes[depth];
        if known.as_ref().map(Arc::as_ptr) != object.shape().map(Arc::as_ptr) {
            *known = object.shape().cloned();
        }
    }

    fn text(&self, element: Option<&mut Element<'t>>, piece: Cow<'t, str>) -> Result<(), DecodeError> {
        match element {
            Some(element) => push_lines(&mut element.text, piece),
            None if piece.trim_ascii().is_empty() => {}
            None => return Err(self.wrong("text stands outside of the root element")),
        }
        Ok(())
    }

    /// The value of an attribute: references resolved, line ends and tabs as spaces.
    fn attribute(&self, raw: &str) -> Result<String, DecodeError> {
        if raw.contains('<') {
            return Err(self.wrong("`<` stands in an attribute; write `&lt;`"));
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['&', '\n', '\r', '\t']) {
            value.push_str(&rest[..at]);
            if rest.as_bytes()[at] != b'&' {
                value.push(' ');
                rest = rest[at..].strip_prefix("\r\n").unwrap_or(&rest[at + 1..]);
                continue;
            }
            let end =
                rest[at..].find(';').ok_or_else(|| self.wrong("`&` begins no reference; write `&amp;`"))?;
            value.push(self.reference(&rest[at + 1..at + end])?);
            rest = &rest[at + end + 1..];
        }
        value.push_str(rest);
        Ok(value)
    }

    /// The character of a reference, without its `&` and `;`.
    fn reference(&self, name: &str) -> Result<char, DecodeError> {
        let code = match name {
            "lt" => return Ok('<'),
            "gt" => return Ok('>'),
            "amp" => return Ok('&'),
            "apos" => return Ok('\''),
            "quot" => return Ok('"'),
            _ => name.strip_prefix('#').map(|number| match number.strip_prefix('x') {
                Some(hexadecimal) => digits(hexadecimal, 16),
                None => digits(number, 10),
            }),
        };
        match code {
            None => Err(self.wrong(format!("the entity `{}` is not declared, and cannot be", shown(name)))),
            Some(code) => code
                .and_then(char::from_u32)
                .filter(|sign| is_sign(*sign))
                .ok_or_else(|| self.wrong(format!("`{}` is no character", shown(name)))),
        }
    }

    fn count(&mut self) -> Result<(), DecodeError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.too_much("values", self.limits.nodes))?;
        Ok(())
    }

    fn wrong(&self, problem: impl Into<String>) -> DecodeError {
        DecodeError::malformed(Position::in_text(self.text, self.start), problem)
    }

    fn too_much(&self, what: &'static str, limit: usize) -> DecodeError {
        DecodeError::TooMuch { what, limit, at: Position::in_text(self.text, self.start) }
    }
}

/// The first byte of a character that XML does not have: a control character, or one of two above them.
fn first_wrong(text: &[u8]) -> Option<usize> {
    /// How many bytes are looked at together, which the processor does at once.
    const TOGETHER: usize = 64;
    let suspicious = |byte: u8| ((byte < 0x20) & !matches!(byte, b'\t' | b'\n' | b'\r')) | (byte == 0xEF);
    let wrong = |at: usize| match text[at] {
        0xEF => matches!(text.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
        byte => suspicious(byte),
    };
    text.chunks(TOGETHER).enumerate().find_map(|(chunk, bytes)| {
        let start = chunk * TOGETHER;
        match bytes.iter().fold(false, |found, byte| found | suspicious(*byte)) {
            true => (start..start + bytes.len()).find(|at| wrong(*at)),
            false => None,
        }
    })
}

fn digits(text: &str, radix: u32) -> Option<u32> {
    // `from_str_radix` alone would take a sign.
    text.chars().all(|sign| sign.is_digit(radix)).then(|| u32::from_str_radix(text, radix).ok())?
}

/// Text, with the line ends that XML says. Most elements have one piece of it, which needs no place of its own.
fn push_lines<'t>(text: &mut Cow<'t, str>, piece: Cow<'t, str>) {
    let piece = match piece.contains('\r') {
        true => piece.replace("\r\n", "\n").replace('\r', "\n").into(),
        false => piece,
    };
    match text.is_empty() {
        true => *text = piece,
        false => text.to_mut().push_str(&piece),
    }
}
