//! XML and SOAP as trees.
//!
//! ```text
//!  <s:Order xmlns:s="urn:erp:v2" id="7">        {"s:Order": {
//!    <s:Item code="A"><Qty>2</Qty></s:Item>        "@id": "7",
//!    <s:Item code="B"><Qty>1</Qty></s:Item>  ──►   "s:Item": [{"@code": "A", "Qty": "2"}, {"@code": "B", "Qty": "1"}]
//!  </s:Order>                                    }}
//! ```
//!
//! An element without attributes and elements inside is its text; any other is an object of its attributes (`@name`),
//! its elements and its own text (`#text`). Elements of one name become a list. `xsi:nil` is null. All values are
//! texts: what is a number is for the mapping to say.
//!
//! **Names.** A prefix of the document means nothing. An element or attribute in a namespace that [`Xml::ns`] declares
//! has the prefix that is declared there; any other has none. Where two namespaces would then become one name, the
//! document is refused instead.
//!
//! **What is refused.** A document type declaration, and so every entity but the five that XML has itself; mixed
//! content unless [`Xml::mixed`] says otherwise; nesting, attributes and values beyond the [`Limits`](crate::Limits).

mod decode;
mod encode;
mod scope;
mod soap;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) use decode::decode;
pub(crate) use encode::encode;
pub use soap::{Fault, Soap, Version};

/// The namespace of `xsi:nil` and `xsi:type`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The namespace of `xml:lang`.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// How XML is read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Xml {
    /// Namespaces by the prefix that the mapping gives them; the empty prefix gives its names none.
    pub ns: BTreeMap<String, String>,
    /// Elements that are a list however often they come, also once.
    pub lists: Vec<String>,
    /// What text beside elements means.
    pub mixed: Mixed,
}

/// What text beside elements means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixed {
    /// The document is refused: where the text stood among the elements would be lost.
    #[default]
    Refuse,
    /// It is put together as `#text`.
    Join,
}

/// Whether a name, without prefix, may stand in a document.
fn is_name(name: &str) -> bool {
    if let [b'a'..=b'z' | b'A'..=b'Z' | b'_', rest @ ..] = name.as_bytes()
        && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    {
        return true;
    }
    let mut signs = name.chars();
    let first = signs.next().is_some_and(|sign| sign.is_alphabetic() || sign == '_');
    first && signs.all(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.' | '\u{b7}'))
}

/// Whether a character may stand in a document at all.
fn is_sign(sign: char) -> bool {
    !matches!(sign, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
