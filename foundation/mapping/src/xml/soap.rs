//! SOAP 1.1 and 1.2: an envelope with a body, or with a fault in its place.

use std::fmt;

use serde::Deserialize;

use super::encode::{declare, element};
use super::{Xml, decode};
use crate::error::{DecodeError, EncodeError, Position};
use crate::limits::Limits;
use crate::value::{Object, Value};

/// A prefix that no mapping can have: the envelope is known by its namespace, whatever the document calls it.
const OURS: [(&str, Version); 2] = [("soap-1.1", Version::V1_1), ("soap-1.2", Version::V1_2)];

/// Which SOAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// 1.1, `text/xml` and a header `SOAPAction`.
    #[default]
    #[serde(rename = "1.1")]
    V1_1,
    /// 1.2, `application/soap+xml`.
    #[serde(rename = "1.2")]
    V1_2,
}

impl Version {
    fn namespace(self) -> &'static str {
        match self {
            Self::V1_1 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V1_2 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }
}

/// How SOAP is read and written. An answer may be of either version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soap {
    /// The version that is written.
    pub version: Version,
    /// The XML inside.
    pub xml: Xml,
}

/// What the other side says went wrong there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// `Client`, `Server`, `Sender` or `Receiver`, or a word of the other side's, without its prefix.
    pub code: String,
    /// A narrower code, without its prefix. Only 1.2 has it.
    pub subcode: Option<String>,
    /// Why, for a person. It is the other side's text, and may hold anything.
    pub reason: String,
    /// What the other side adds; null if nothing.
    pub detail: Value,
}

impl Fault {
    /// As an object with the members `code`, `subcode`, `reason` and `detail`, for a mapping or a condition.
    pub fn to_value(&self) -> Value {
        let subcode = self.subcode.as_deref().map_or(Value::Null, Value::text);
        Value::object([
            ("code", Value::text(self.code.as_str())),
            ("subcode", subcode),
            ("reason", Value::text(self.reason.as_str())),
            ("detail", self.detail.clone()),
        ])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code `{}`", crate::error::shown(&self.code))
    }
}

impl Soap {
    /// Reads an envelope: an object of the elements in its body.
    pub(crate) fn decode(&self, text: &str, limits: &Limits) -> Result<Value, DecodeError> {
        let mut options = self.xml.clone();
        options.ns.retain(|_, uri| OURS.iter().all(|(_, version)| version.namespace() != uri));
        for (prefix, version) in OURS {
            options.ns.insert(prefix.to_owned(), version.namespace().to_owned());
        }
        let document = decode(text, &options, limits)?;
        let missing = |what: &str| {
            DecodeError::malformed(Position::Text { line: 1, column: 1 }, format!("it is no SOAP: {what}"))
        };
        let envelope = OURS.iter().find_map(|(prefix, version)| {
            Some((*prefix, *version, document.get(&format!("{prefix}:Envelope"))?))
        });
        let (prefix, version, envelope) = envelope.ok_or_else(|| missing("there is no envelope"))?;
        let body = match envelope.get(&format!("{prefix}:Body")) {
            Some(Value::Object(body)) => body,
            Some(Value::List(_)) => return Err(missing("there are two bodies")),
            Some(_) => &Object::default(),
            None => return Err(missing("there is no body")),
        };
        if let Some(fault) = body.get(&format!("{prefix}:Fault")) {
            return Err(DecodeError::Fault(Box::new(fault_of(fault, prefix, version))));
        }
        let inside = body.iter().filter(|(name, _)| !name.starts_with(['@', '#']));
        Ok(Value::object(inside.map(|(name, value)| (name.clone(), value.clone()))))
    }

    /// Writes an envelope around the elements that the members of an object are, and of another for its header.
    pub(crate) fn encode<'v>(
        &self,
        header: Option<&'v Value>,
        value: &'v Value,
    ) -> Result<String, EncodeError> {
        let part = |what: &str, value: &'v Value| match value {
            Value::Object(part) => Ok(part),
            other => {
                Err(EncodeError::new("", format!("a {what} is an object, and this is {}", other.kind())))
            }
        };
        let (header, body) = (header.map(|header| part("header", header)).transpose()?, part("body", value)?);
        let mut text = String::with_capacity(512);
        text.push_str("<soap:Envelope");
        declare("soap", self.version.namespace(), &mut text);
        text.push('>');
        if let Some(header) = header {
            text.push_str("<soap:Header>");
            element(header, &self.xml.ns, &mut text)?;
            text.push_str("</soap:Header>");
        }
        text.push_str("<soap:Body>");
        element(body, &self.xml.ns, &mut text)?;
        text.push_str("</soap:Body></soap:Envelope>");
        Ok(text)
    }
}

fn fault_of(fault: &Value, prefix: &str, version: Version) -> Fault {
    match version {
        Version::V1_1 => Fault {
            code: local(fault.get("faultcode")),
            subcode: None,
            reason: content(fault.get("faultstring")),
            detail: fault.get("detail").cloned().unwrap_or_default(),
        },
        Version::V1_2 => {
            let own = |value: &Value, name: &str| value.get(&format!("{prefix}:{name}")).cloned();
            let code = own(fault, "Code").unwrap_or_default();
            let subcode = own(&code, "Subcode").and_then(|subcode| own(&subcode, "Value"));
            // One reason in each language: the first is the one that there always is.
            let reason = own(fault, "Reason").and_then(|reason| own(&reason, "Text"));
            let reason = match &reason {
                Some(Value::List(texts)) => texts.first(),
                reason => reason.as_ref(),
            };
            Fault {
                code: local(own(&code, "Value").as_ref()),
                subcode: subcode.map(|subcode| local(Some(&subcode))),
                reason: content(reason),
                detail: own(fault, "Detail").unwrap_or_default(),
            }
        }
    }
}

/// The text of an element, with or without attributes.
fn content(element: Option<&Value>) -> String {
    let text = element.and_then(|element| element.as_text().or_else(|| element.get("#text")?.as_text()));
    text.unwrap_or_default().trim().to_owned()
}

/// A qualified name without its prefix, which means nothing outside of the document.
fn local(element: Option<&Value>) -> String {
    let name = content(element);
    name.rsplit_once(':').map_or(name.clone(), |(_, local)| local.to_owned())
}
