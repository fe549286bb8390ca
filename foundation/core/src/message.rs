//! The message: a CloudEvent 1.0.
//!
//! One type carries queue items, events and deliveries, in the shape that every CloudEvents library already reads.
//! Two of its extension attributes are ours: `dozenkey` orders (messages of one key are handled in the order in
//! which they were sent) and `dozentoken` lets the receiver wait for the sender's commit. `traceparent` is the
//! CloudEvents distributed-tracing extension.
//!
//! On the wire a message takes one of the two forms of the specification:
//! *structured*, one JSON object with the data inside ([`Message::to_json`]), and
//! *binary*, the attributes as `ce-` headers beside the bare data ([`Message::to_headers`]).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Timestamp, TraceContext};

/// The media type of the structured form.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Text; also URIs, timestamps and binary values, in their canonical text form.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

impl Attribute {
    /// The canonical text form, as headers carry it.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(truth) => truth.to_string(),
        }
    }

    /// The JSON form.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Integer(number) => Value::from(*number),
            Self::Boolean(truth) => Value::from(*truth),
        }
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A CloudEvent 1.0.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Unique together with `source`. Ours are UUIDv7.
    pub id: String,
    /// Who sent it, a URI reference.
    pub source: String,
    /// What it is (the attribute `type`), for example `order.placed`.
    pub kind: String,
    /// What it is about, within the source.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The media type of `data`. `None` means JSON.
    pub content_type: Option<String>,
    /// Where the schema of `data` stands.
    pub data_schema: Option<String>,
    /// All other attributes, by name.
    pub extensions: BTreeMap<String, Attribute>,
    /// The payload, as it was sent.
    pub data: Bytes,
}

/// Why a text or a set of headers is no CloudEvent.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The structured form is no JSON object.
    #[error("a structured CloudEvent must be one JSON object")]
    NotAnObject,
    /// It is no JSON at all.
    #[error("a structured CloudEvent must be JSON")]
    NotJson(#[source] serde_json::Error),
    /// A required attribute is absent or empty.
    #[error("the CloudEvent has no `{0}`")]
    Missing(&'static str),
    /// An attribute has a value that the specification does not allow.
    #[error("the CloudEvent's `{name}` {problem}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Message {
    /// A JSON message with the attributes that every CloudEvent needs.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { id: id.into(), source: source.into(), kind: kind.into(), ..Self::default() }
    }

    /// With this payload, and `None` for JSON or its media type.
    #[must_use]
    pub fn with_data(mut self, content_type: Option<&str>, data: impl Into<Bytes>) -> Self {
        self.content_type = content_type.map(str::to_owned);
        self.data = data.into();
        self
    }

    /// With this ordering key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.extensions.insert("dozenkey".into(), Attribute::Text(key.into()));
        self
    }

    /// With this trace context.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.extensions.insert("traceparent".into(), Attribute::Text(trace.to_string()));
        self
    }

    /// An extension attribute that is text.
    pub fn extension(&self, name: &str) -> Option<&str> {
        match self.extensions.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The ordering key: messages with the same one are handled in the order in which they were sent.
    pub fn key(&self) -> Option<&str> {
        self.extension("dozenkey").filter(|key| !key.is_empty())
    }

    /// The trace that this message belongs to.
    pub fn trace(&self) -> Option<TraceContext> {
        self.extension("traceparent")?.parse().ok()
    }

    /// Whether `data` is JSON by its media type.
    pub fn is_json(&self) -> bool {
        self.content_type.as_deref().is_none_or(is_json)
    }

    /// The structured form as a JSON value.
    ///
    /// JSON data becomes the member `data` as it is, text a string, and everything else `data_base64`. Data that claims
    /// to be JSON and is not goes as `data_base64` too: nothing is lost, and the receiver sees what the sender sent.
    pub fn to_value(&self) -> Value {
        let mut event = self.attributes();
        event.insert("specversion".into(), "1.0".into());
        event.insert("id".into(), self.id.as_str().into());
        event.insert("type".into(), self.kind.as_str().into());
        if self.data.is_empty() {
            return Value::Object(event);
        }
        let json = if self.is_json() { serde_json::from_slice(&self.data).ok() } else { None };
        let text = || match &self.content_type {
            Some(kind) if is_text(kind) => std::str::from_utf8(&self.data).ok(),
            _ => None,
        };
        if let Some(value) = json {
            event.insert("data".into(), value);
        } else if let Some(text) = text() {
            event.insert("data".into(), text.into());
        } else {
            event.insert("data_base64".into(), BASE64.encode(&self.data).into());
        }
        Value::Object(event)
    }

    /// The structured form as text.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    /// Every attribute except `id`, `type` and `specversion`, under its CloudEvents name: what a journal keeps beside
    /// the columns that it has for those.
    pub fn attributes(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("source".into(), self.source.as_str().into());
        let optional = [
            ("subject", &self.subject),
            ("datacontenttype", &self.content_type),
            ("dataschema", &self.data_schema),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.insert(name.into(), value.as_str().into());
            }
        }
        if let Some(time) = self.time {
            map.insert("time".into(), time.to_string().into());
        }
        for (name, value) in &self.extensions {
            map.insert(name.clone(), value.to_value());
        }
        map
    }

    /// Takes the structured form. `id`, `source` and `type` must be there.
    pub fn from_json(text: &[u8]) -> Result<Self, MessageError> {
        match serde_json::from_slice(text).map_err(MessageError::NotJson)? {
            Value::Object(event) => Self::from_object(event),
            _ => Err(MessageError::NotAnObject),
        }
    }

    /// Takes the structured form from an object that is already parsed.
    pub fn from_object(mut event: Map<String, Value>) -> Result<Self, MessageError> {
        match event.remove("specversion") {
            None => {}
            Some(Value::String(version)) if version == "1.0" => {}
            Some(_) => return Err(wrong("specversion", "must be \"1.0\"")),
        }
        let data = event.remove("data");
        let base64 = event.remove("data_base64");
        let mut message = Self::default();
        for (name, value) in event {
            message.set(name, value)?;
        }
        message.data = match (data, base64) {
            (Some(_), Some(_)) => return Err(wrong("data", "and `data_base64` cannot both be there")),
            (None, None) => Bytes::new(),
            (None, Some(Value::String(text))) => {
                BASE64.decode(text).map_err(|_| wrong("data_base64", "is no base64"))?.into()
            }
            (None, Some(_)) => return Err(wrong("data_base64", "must be a string")),
            (Some(Value::String(text)), None) if !message.is_json() => text.into(),
            (Some(value), None) => value.to_string().into(),
        };
        message.require()
    }

    fn require(self) -> Result<Self, MessageError> {
        for (name, value) in [("id", &self.id), ("source", &self.source), ("type", &self.kind)] {
            if value.is_empty() {
                return Err(MessageError::Missing(name));
            }
        }
        Ok(self)
    }

    /// Sets one attribute by its CloudEvents name.
    pub fn set(&mut self, name: String, value: Value) -> Result<(), MessageError> {
        let text = |value: Value, name: &str| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong(name, "must be a string")),
        };
        match name.as_str() {
            _ if value.is_null() => {}
            "id" => self.id = text(value, &name)?,
            "source" => self.source = text(value, &name)?,
            "type" => self.kind = text(value, &name)?,
            "subject" => self.subject = Some(text(value, &name)?),
            "datacontenttype" => self.content_type = Some(text(value, &name)?),
            "dataschema" => self.data_schema = Some(text(value, &name)?),
            "time" => {
                let moment = Timestamp::parse(&text(value, &name)?);
                self.time = Some(moment.ok_or_else(|| wrong("time", "is no RFC 3339 timestamp"))?);
            }
            _ => {
                let value = match value {
                    Value::String(text) => Attribute::Text(text),
                    Value::Bool(truth) => Attribute::Boolean(truth),
                    Value::Number(number) if number.is_i64() => {
                        Attribute::Integer(number.as_i64().unwrap_or(0))
                    }
                    other => Attribute::Text(other.to_string()),
                };
                self.extensions.insert(name, value);
            }
        }
        Ok(())
    }

    /// The binary form: header names and values, to stand beside `data` as the body.
    pub fn to_headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("ce-specversion".to_owned(), "1.0".to_owned()),
            ("ce-id".to_owned(), percent_encode(&self.id)),
            ("ce-type".to_owned(), percent_encode(&self.kind)),
        ];
        for (name, value) in self.attributes() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match name.as_str() {
                "datacontenttype" => headers.push(("content-type".to_owned(), text)),
                _ => headers.push((format!("ce-{name}"), percent_encode(&text))),
            }
        }
        if self.content_type.is_none() && !self.data.is_empty() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        headers
    }

    /// Takes a message from HTTP headers and a body, in whichever form they are. Header names are compared without case.
    ///
    /// `Ok(None)` when they hold no CloudEvent.
    pub fn from_http<'a>(
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        body: Bytes,
    ) -> Result<Option<Self>, MessageError> {
        let mut message = Self { data: body, ..Self::default() };
        let mut is_event = false;
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value);
            let name = name.to_ascii_lowercase();
            if name == "content-type" {
                if media_type(&value).eq_ignore_ascii_case(STRUCTURED) {
                    return Self::from_json(&message.data).map(Some);
                }
                message.content_type = Some(value.into_owned());
            } else if let Some(name) = name.strip_prefix("ce-") {
                match name {
                    "specversion" => is_event = true,
                    _ => message.set(name.to_owned(), percent_decode(&value).into())?,
                }
            }
        }
        if is_event { message.require().map(Some) } else { Ok(None) }
    }
}

fn wrong(name: &str, problem: &'static str) -> MessageError {
    MessageError::Attribute { name: name.to_owned(), problem }
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

fn is_json(content_type: &str) -> bool {
    let kind = media_type(content_type).to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json") || kind == "text/json"
}

fn is_text(content_type: &str) -> bool {
    let kind = media_type(content_type).to_ascii_lowercase();
    kind.starts_with("text/") || kind == "application/xml" || kind.ends_with("+xml")
}

/// Encodes as the HTTP binding asks (§3.1.3.2): everything but printable ASCII, and the blank, the quote and the percent sign.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        // A sign would be taken for a number, too.
        let escape = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> Message {
        let mut message = Message::new("1", "/orders", "order.placed").with_key("o-7");
        message.subject = Some("o-7".into());
        message.time = Some(Timestamp(1_790_000_000_123_456));
        message.extensions.insert("attempt".into(), Attribute::Integer(3));
        message.extensions.insert("urgent".into(), Attribute::Boolean(true));
        message.with_data(Some("application/json"), r#"{"total":12.50}"#)
    }

    #[test]
    fn structured_form_round_trips() {
        let mut message = full();
        message.data = Bytes::from(r#"{"total":12}"#);
        assert_eq!(Message::from_json(&message.to_json()).unwrap(), message);
    }

    #[test]
    fn text_and_binary_data_round_trip() {
        let text = full().with_data(Some("text/plain"), "héllo");
        assert_eq!(text.to_value()["data"], "héllo");
        assert_eq!(Message::from_json(&text.to_json()).unwrap(), text);
        let binary = full().with_data(Some("application/octet-stream"), vec![0u8, 255, 7]);
        assert_eq!(binary.to_value()["data_base64"], "AP8H");
        assert_eq!(Message::from_json(&binary.to_json()).unwrap(), binary);
    }

    #[test]
    fn data_that_lies_about_being_json_is_kept_byte_for_byte() {
        let broken = full().with_data(Some("application/json"), "{oops");
        assert_eq!(Message::from_json(&broken.to_json()).unwrap().data, broken.data);
    }

    #[test]
    fn binary_form_round_trips_through_headers() {
        let mut message = full();
        message.subject = Some("größe \"100%\"".into());
        message.extensions.remove("attempt");
        message.extensions.remove("urgent");
        let headers = message.to_headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        assert_eq!(Message::from_http(pairs, message.data.clone()).unwrap().unwrap(), message);
    }

    #[test]
    fn only_an_escape_is_an_escape() {
        for (text, means) in
            [("%41%c3%a9", "Aé"), ("%+1%-1", "%+1%-1"), ("100%", "100%"), ("%4", "%4"), ("%zz", "%zz")]
        {
            assert_eq!(percent_decode(text), means);
        }
    }

    #[test]
    fn what_is_no_event_is_told_from_what_is_a_wrong_one() {
        let plain =
            Message::from_http([("content-type", &b"application/json"[..])].into_iter(), Bytes::new());
        assert!(plain.unwrap().is_none());
        for (text, says) in [
            ("[]", "must be one JSON object"),
            ("{", "must be JSON"),
            (r#"{"specversion":"1.0","id":"1","type":"t"}"#, "no `source`"),
            (r#"{"specversion":"0.3","id":"1","type":"t","source":"s"}"#, "specversion"),
            (r#"{"id":"1","type":"t","source":"s","time":"noon"}"#, "RFC 3339"),
            (r#"{"id":"1","type":"t","source":"s","data":1,"data_base64":"AA=="}"#, "both"),
        ] {
            let error = Message::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_a_header(text in ".*") {
            let encoded = percent_encode(&text);
            // What stands at the ends of a header's value and is blank is taken away by whoever reads it.
            prop_assert!(encoded.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
            prop_assert_eq!(percent_decode(&encoded), text);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::from_json(&bytes);
        }
    }
}
