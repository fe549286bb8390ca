//! From a tree to text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{XSI, Xml, is_name, is_sign};
use crate::error::{EncodeError, shown};
use crate::limits::DEPTH_MAX;
use crate::value::{Object, Value};

/// Writes a document without its declaration: `value` is an object with one member, the root element.
pub(crate) fn encode(value: &Value, options: &Xml) -> Result<String, EncodeError> {
    let mut text = String::with_capacity(256);
    match value {
        Value::Object(object) if object.len() == 1 => element(object, &options.ns, &mut text)?,
        other => {
            let problem =
                format!("a document is an object with one member, its root, and this is {}", other.kind());
            return Err(EncodeError::new("", problem));
        }
    }
    Ok(text)
}

/// Writes the members of `object` as elements that declare the namespaces they use.
pub(super) fn element(
    object: &Object,
    ns: &BTreeMap<String, String>,
    text: &mut String,
) -> Result<(), EncodeError> {
    for (name, value) in object.iter() {
        let mut used = BTreeSet::new();
        prefixes(name, value, &mut used);
        let mut declared = String::new();
        for (prefix, uri) in ns.iter().filter(|(prefix, _)| used.contains(prefix.as_str())) {
            declare(prefix, uri, &mut declared);
        }
        if used.contains("xsi") && !ns.contains_key("xsi") {
            declare("xsi", XSI, &mut declared);
        }
        Writer { text, ns, path: Vec::new() }.member(name, value, &declared)?;
    }
    Ok(())
}

pub(super) fn declare(prefix: &str, uri: &str, text: &mut String) {
    text.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
    text.push_str(prefix);
    text.push_str("=\"");
    escape(uri, true, text);
    text.push('"');
}

/// The prefixes that stand in a part of the tree; `xsi` also where a null needs it.
fn prefixes<'v>(name: &'v str, value: &'v Value, used: &mut BTreeSet<&'v str>) {
    let plain = name.strip_prefix('@').unwrap_or(name);
    match plain.split_once(':') {
        Some((prefix, _)) => drop(used.insert(prefix)),
        None if !name.starts_with(['@', '#']) => drop(used.insert("")),
        None => {}
    }
    match value {
        Value::Null => drop(used.insert("xsi")),
        Value::List(list) => list.iter().for_each(|item| prefixes(name, item, used)),
        Value::Object(object) => object.iter().for_each(|(name, value)| prefixes(name, value, used)),
        _ => {}
    }
}

struct Writer<'w> {
    text: &'w mut String,
    ns: &'w BTreeMap<String, String>,
    path: Vec<String>,
}

impl Writer<'_> {
    fn member(&mut self, name: &str, value: &Value, declared: &str) -> Result<(), EncodeError> {
        self.path.push(shown(name));
        if self.path.len() > DEPTH_MAX {
            return Err(self.wrong(format!("it nests more than {DEPTH_MAX} deep")));
        }
        self.check(name)?;
        match value {
            Value::List(list) => {
                for item in list {
                    match item {
                        Value::List(_) => return Err(self.wrong("a list in a list has no form in XML")),
                        item => self.one(name, item, declared)?,
                    }
                }
            }
            value => self.one(name, value, declared)?,
        }
        self.path.pop();
        Ok(())
    }

    fn one(&mut self, name: &str, value: &Value, declared: &str) -> Result<(), EncodeError> {
        let _ = write!(self.text, "<{name}{declared}");
        match value {
            Value::Null => self.text.push_str(" xsi:nil=\"true\"/>"),
            Value::Object(object) => {
                for (name, value) in object.iter() {
                    if let Some(plain) = name.strip_prefix('@') {
                        self.attribute(name, plain, value)?;
                    }
                }
                self.text.push('>');
                for (name, value) in object.iter().filter(|(name, _)| !name.starts_with('@')) {
                    match &**name {
                        "#text" => self.scalar(value, false)?,
                        name => self.member(name, value, "")?,
                    }
                }
                let _ = write!(self.text, "</{name}>");
            }
            value => {
                self.text.push('>');
                self.scalar(value, false)?;
                let _ = write!(self.text, "</{name}>");
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, plain: &str, value: &Value) -> Result<(), EncodeError> {
        if *value == Value::Null {
            return Ok(());
        }
        self.path.push(shown(name));
        self.check(plain)?;
        let _ = write!(self.text, " {plain}=\"");
        self.scalar(value, true)?;
        self.text.push('"');
        self.path.pop();
        Ok(())
    }

    fn scalar(&mut self, value: &Value, quoted: bool) -> Result<(), EncodeError> {
        match value {
            Value::Text(own) => match own.chars().all(is_sign) {
                true => escape(own, quoted, self.text),
                false => return Err(self.wrong("its text has a control character, which XML does not have")),
            },
            Value::Number(number) => drop(write!(self.text, "{number}")),
            Value::Bool(truth) => drop(write!(self.text, "{truth}")),
            Value::Null => {}
            other => return Err(self.wrong(format!("a text belongs here, and this is {}", other.kind()))),
        }
        Ok(())
    }

    fn check(&self, name: &str) -> Result<(), EncodeError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !is_name(local) || (!prefix.is_empty() && !is_name(prefix)) {
            return Err(self.wrong("this is no name in XML"));
        }
        match prefix.is_empty() || self.ns.contains_key(prefix) || prefix == "xsi" || prefix == "xml" {
            true => Ok(()),
            false => Err(self.wrong(format!("the prefix `{}` is not declared in `ns`", shown(prefix)))),
        }
    }

    fn wrong(&self, problem: impl Into<String>) -> EncodeError {
        EncodeError::new(self.path.join("/"), problem)
    }
}

/// Escapes what has a meaning; in an attribute also what a reader would turn into a space.
fn escape(own: &str, quoted: bool, text: &mut String) {
    let mut from = 0;
    for (at, byte) in own.bytes().enumerate() {
        let escaped = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'\r' => "&#13;",
            b'"' if quoted => "&quot;",
            b'\n' if quoted => "&#10;",
            b'\t' if quoted => "&#9;",
            _ => continue,
        };
        text.push_str(&own[from..at]);
        text.push_str(escaped);
        from = at + 1;
    }
    text.push_str(&own[from..]);
}
