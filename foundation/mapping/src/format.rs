//! A format with its options, as a translator names it: `json`, or `{ csv: { delimiter: ";", charset: windows-1252 } }`.

use serde::de::DeserializeOwned;

use crate::charset::Charset;
use crate::error::{DecodeError, EncodeError};
use crate::json;
use crate::limits::Limits;
use crate::mistake::Mistake;
use crate::rows::{Csv, Fixed, decode_form, encode_form};
use crate::value::{Object, Value};
use crate::xml::{self, Soap, Version, Xml};

/// How documents of one side are read and written.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    kind: Kind,
    charset: Charset,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Json,
    Xml(Xml),
    Soap(Soap),
    Csv(Csv),
    Fixed(Fixed),
    Form,
    Text,
}

const NAMES: [&str; 7] = ["json", "xml", "soap", "csv", "fixed", "form", "text"];

impl Format {
    /// JSON in UTF-8.
    pub fn json() -> Self {
        Self { kind: Kind::Json, charset: Charset::default() }
    }

    /// Pairs in UTF-8, as a query has them.
    pub fn form() -> Self {
        Self { kind: Kind::Form, charset: Charset::default() }
    }

    /// From its name, or from an object with its name and its options. `path` says where it stands in the file.
    ///
    /// Every format takes `charset` and `lossy` beside its own options.
    pub fn parse(value: &Value, path: &str) -> Result<Self, Mistake> {
        let (name, options) = match value {
            Value::Text(name) => (&**name, Object::default()),
            Value::Object(object) => match object.iter().next() {
                Some((name, options)) if object.len() == 1 => match options {
                    Value::Object(options) => (&**name, options.clone()),
                    Value::Null => (&**name, Object::default()),
                    other => {
                        let problem = format!("options are an object, and this is {}", other.kind());
                        return Err(Mistake::new(format!("{path}.{name}"), problem));
                    }
                },
                _ => return Err(Mistake::new(path, "one format belongs here").hint("write `{ csv: { … } }`")),
            },
            other => {
                let problem = format!("a format is a name or an object, and this is {}", other.kind());
                return Err(Mistake::new(path, problem));
            }
        };
        let path = format!("{path}.{name}");
        let mut charset = Charset::default();
        let mut own = Object::default();
        for (key, value) in options {
            match (&*key, &value) {
                ("charset", Value::Text(label)) => {
                    charset.declared = Some(Charset::named(label).ok_or_else(|| {
                        Mistake::new(format!("{path}.charset"), format!("there is no charset `{label}`"))
                            .hint("`utf-8`, `windows-1252` and `shift_jis` are three of those that browsers know")
                    })?);
                }
                ("lossy", Value::Bool(lossy)) => charset.lossy = *lossy,
                _ => drop(own.insert(key, value)),
            }
        }
        let kind = match name {
            "xml" => Kind::Xml(xml_options(own, &path)?),
            "soap" => {
                let mut version = Version::default();
                let mut rest = Object::default();
                for (key, value) in own {
                    match &*key {
                        // YAML reads 1.1 as a number.
                        "version" => version = read(Value::text(scalar(&value)), &format!("{path}.version"))?,
                        _ => drop(rest.insert(key, value)),
                    }
                }
                Kind::Soap(Soap { version, xml: xml_options(rest, &path)? })
            }
            "csv" => {
                let csv: Csv = read(Value::Object(own), &path)?;
                csv.check().map_err(|problem| Mistake::new(&path, problem))?;
                Kind::Csv(csv)
            }
            "fixed" => {
                let fixed: Fixed = read(Value::Object(own), &path)?;
                fixed.check().map_err(|problem| Mistake::new(&path, problem))?;
                Kind::Fixed(fixed)
            }
            "json" | "form" | "text" => {
                if let Some((key, _)) = own.iter().next() {
                    let mistake = Mistake::new(&path, format!("there is no option `{key}`"));
                    return Err(mistake.nearest(key, ["charset", "lossy"].into_iter()));
                }
                match name {
                    "json" => Kind::Json,
                    "form" => Kind::Form,
                    _ => Kind::Text,
                }
            }
            other => {
                let mistake = Mistake::new(
                    path.trim_end_matches(other).trim_end_matches('.'),
                    format!("there is no format `{other}`"),
                );
                return Err(mistake.nearest(other, NAMES.into_iter()));
            }
        };
        Ok(Self { kind, charset })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Json => "json",
            Kind::Xml(_) => "xml",
            Kind::Soap(_) => "soap",
            Kind::Csv(_) => "csv",
            Kind::Fixed(_) => "fixed",
            Kind::Form => "form",
            Kind::Text => "text",
        }
    }

    /// The content type of what [`Format::encode`] writes.
    pub fn content_type(&self) -> String {
        let plain = match &self.kind {
            Kind::Json => return "application/json".into(),
            Kind::Form => return "application/x-www-form-urlencoded".into(),
            Kind::Xml(_) => "application/xml",
            Kind::Soap(soap) if soap.version == Version::V1_2 => "application/soap+xml",
            Kind::Soap(_) => "text/xml",
            Kind::Csv(_) => "text/csv",
            Kind::Fixed(_) | Kind::Text => "text/plain",
        };
        format!("{plain}; charset={}", self.charset_name().to_ascii_lowercase())
    }

    fn charset_name(&self) -> &'static str {
        self.charset.declared.map_or("UTF-8", encoding_rs::Encoding::name)
    }

    /// Reads a document. A SOAP fault is [`DecodeError::Fault`].
    pub fn decode(
        &self,
        bytes: &[u8],
        content_type: Option<&str>,
        limits: &Limits,
    ) -> Result<Value, DecodeError> {
        if bytes.len() > limits.size {
            return Err(DecodeError::TooLarge { bytes: bytes.len(), limit: limits.size });
        }
        let is_xml = matches!(self.kind, Kind::Xml(_) | Kind::Soap(_));
        let (encoding, mark) = self.charset.of(bytes, content_type, is_xml)?;
        let bytes = &bytes[mark..];
        match &self.kind {
            Kind::Fixed(fixed) => return fixed.decode(bytes, &self.charset, encoding, limits),
            Kind::Form => return decode_form(bytes, &self.charset, encoding, limits),
            _ => {}
        }
        let text = self.charset.decode(bytes, encoding)?;
        // A charset of one byte a character may be three in UTF-8; the bound is on what came.
        let inner = Limits { size: text.len(), ..limits.clone() };
        match &self.kind {
            Kind::Json => json::read(&text, &inner),
            Kind::Xml(options) => xml::decode(&text, options, &inner),
            Kind::Soap(soap) => soap.decode(&text, &inner),
            Kind::Csv(csv) => csv.decode(&text, &inner),
            Kind::Text | Kind::Fixed(_) | Kind::Form => Ok(Value::text(text)),
        }
    }

    /// Writes a document.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        self.encode_under(None, value)
    }

    /// Writes a document with a header. Only an envelope of SOAP has one.
    pub fn encode_under(&self, header: Option<&Value>, value: &Value) -> Result<Vec<u8>, EncodeError> {
        if header.is_some() && !matches!(self.kind, Kind::Soap(_)) {
            return Err(EncodeError::new("", format!("a document in {} has no header", self.name())));
        }
        let declared =
            |text: String| format!("<?xml version=\"1.0\" encoding=\"{}\"?>{text}", self.charset_name());
        let text = match &self.kind {
            Kind::Json => json::write(value),
            Kind::Xml(options) => declared(xml::encode(value, options)?),
            Kind::Soap(soap) => declared(soap.encode(header, value)?),
            Kind::Csv(csv) => csv.encode(value)?,
            Kind::Fixed(fixed) => return self.charset.marked(fixed.encode(value, &self.charset)?),
            Kind::Form => return encode_form(value, &self.charset),
            Kind::Text => match value {
                Value::Text(text) => text.to_string(),
                other => {
                    let problem = format!("a text belongs here, and this is {}", other.kind());
                    return Err(EncodeError::new("", problem));
                }
            },
        };
        self.charset.marked(self.charset.encode(text)?)
    }
}

fn xml_options(options: Object, path: &str) -> Result<Xml, Mistake> {
    let xml: Xml = read(Value::Object(options), path)?;
    for (prefix, uri) in &xml.ns {
        if uri.is_empty()
            || prefix.contains(':')
            || xml.ns.iter().any(|(other, same)| other != prefix && same == uri)
        {
            let problem = "a namespace has one prefix, without `:`, and an address";
            return Err(Mistake::new(format!("{path}.ns.{prefix}"), problem));
        }
    }
    Ok(xml)
}

/// Options of one format, from the tree.
fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, Mistake> {
    // The options hold neither large nor broken numbers, so nothing is lost on this way.
    serde_json::from_value(value.approximate()).map_err(|error| Mistake::new(path, error.to_string()))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        other => json::write(other),
    }
}
