//! Documents of other systems: what is read is within the bounds, and what is written is read as the same.

use dozen_mapping::{Format, Limits, Value, json};

/// Small, so that small documents reach them.
fn limits() -> Limits {
    Limits { size: 8192, depth: 16, nodes: 1000, attributes: 8, columns: 16, ..Limits::default() }
}

pub(crate) const JSON_WORDS: &[&str] = &[
    "[", "]", "{", "}", ":", ",", "\"", "\\u0000", "\\ud800", "1e400", "-0", "0.10", "null", "true",
    "\u{feff}", "\"a\":",
];
pub(crate) const XML_WORDS: &[&str] = &[
    "<!DOCTYPE a [<!ENTITY b \"cccc\">]>",
    "<!ENTITY % p SYSTEM \"file:///etc/passwd\">",
    "&b;",
    "&lt;",
    "&#0;",
    "&#x10FFFF;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    "<?p?>",
    "<a>",
    "</a>",
    "<a/>",
    " x=\"1\"",
    " xmlns:p=\"u\"",
    "<p:a>",
    " xmlns=\"\"",
    "\u{fffe}",
    "<",
    ">",
    "&",
    "\"",
];
pub(crate) const CSV_WORDS: &[&str] =
    &["\"", "\"\"", ",", ";", "\r\n", "\n", "\r", "a,b\n", "\u{feff}", "\0", "=1+1", "\t"];

pub(crate) const SOAP_WORDS: &[&str] = &[
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">",
    "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">",
    "<s:Header>",
    "</s:Header>",
    "<s:Body>",
    "</s:Body>",
    "</s:Envelope>",
    "<s:Fault>",
    "</s:Fault>",
    "<faultcode>s:Client</faultcode>",
    "<faultstring>x</faultstring>",
    "<detail>",
    "</detail>",
    "<s:Code><s:Value>s:Sender</s:Value></s:Code>",
    "<s:Reason><s:Text xml:lang=\"en\">x</s:Text></s:Reason>",
    " s:mustUnderstand=\"1\"",
    "<m:a xmlns:m=\"urn:m\">",
    "</m:a>",
    "<![CDATA[",
    "<!DOCTYPE a>",
    "&lt;",
];
pub(crate) const FIXED_WORDS: &[&str] =
    &["\n", "\r\n", "\r", "    ", "0000", "abc ", " abc", "\t", "\0", "é", "\u{feff}", "9999999999"];
pub(crate) const FORM_WORDS: &[&str] =
    &["&", "=", "a=1", "a=1&a=2", "+", "%20", "%26", "%3d", "%", "%zz", "%c3%a9", "%ff", ";", "[]=", "&&"];

/// How many values there are, and how deep they nest.
fn measure(value: &Value) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match value {
        Value::List(values) => values.iter().map(measure).collect(),
        Value::Object(object) => object.iter().map(|(_, value)| measure(value)).collect(),
        _ => Vec::new(),
    };
    let deepest = inner.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
    (1 + inner.iter().map(|(nodes, _)| nodes).sum::<usize>(), deepest)
}

/// Decodes, holds the value against the bounds, and has it written and read again, if it can be written.
fn there_and_back(format: &Format, bytes: &[u8]) -> Option<Value> {
    let limits = limits();
    let value = format.decode(bytes, None, &limits).ok()?;
    let (nodes, depth) = measure(&value);
    // A value of text may stand for an element with attributes, so the shapes differ by a small factor.
    assert!(nodes <= 2 * limits.nodes && depth <= 2 * limits.depth, "{nodes} values, {depth} deep");
    let written = json::write(&value);
    assert_eq!(json::read(&written, &Limits::default()).unwrap(), value, "as JSON: {written}");
    if let Ok(bytes) = format.encode(&value) {
        let wide = Limits {
            size: 1 << 20,
            depth: 64,
            nodes: 10_000,
            attributes: 64,
            columns: 64,
            ..Limits::default()
        };
        let again = format.decode(&bytes, None, &wide);
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(again.as_ref().ok(), Some(&value), "{again:?} of {shown}");
    }
    Some(value)
}

fn format(text: &str) -> Format {
    Format::parse(&json::read(text, &Limits::default()).unwrap(), "format").unwrap()
}

pub(crate) fn json(bytes: &[u8]) {
    there_and_back(&Format::json(), bytes);
}

/// A document with a document type, and so with entities of its own, is refused whatever else is in it.
pub(crate) fn xml(bytes: &[u8]) {
    let value = there_and_back(&format("\"xml\""), bytes);
    let text = String::from_utf8_lossy(bytes);
    let hides = ["<!--", "<![CDATA[", "<?"].iter().any(|begin| text.contains(begin));
    assert!(value.is_none() || hides || !text.contains("<!DOCTYPE"), "a document type was taken: {text}");
}

pub(crate) fn csv(bytes: &[u8]) {
    there_and_back(&format("\"csv\""), bytes);
    there_and_back(&format(r#"{"csv": {"delimiter": ";"}}"#), bytes);
}

/// An envelope with a document type is refused like any other document.
pub(crate) fn soap(bytes: &[u8]) {
    for version in
        [r#"{"soap": {"version": "1.1", "ns": {"m": "urn:m"}}}"#, r#"{"soap": {"version": "1.2"}}"#]
    {
        there_and_back(&format(version), bytes);
    }
}

pub(crate) fn fixed(bytes: &[u8]) {
    let columns =
        r#"[{"name": "sku", "width": 4}, {"name": "count", "width": 6, "pad": "0", "align": "right"}]"#;
    for more in ["", r#", "unit": "bytes", "charset": "windows-1252""#, r#", "lines": false, "length": 12"#] {
        there_and_back(&format(&format!(r#"{{"fixed": {{"columns": {columns}{more}}}}}"#)), bytes);
    }
}

pub(crate) fn form(bytes: &[u8]) {
    there_and_back(&format("\"form\""), bytes);
}
