//! The checked tree: what the file says, with short forms expanded and defaults filled in.

use std::net::SocketAddr;
use std::time::Duration;

use dozen_messaging::Start;

use super::diagnostic::Span;
use super::scalar;

/// A checked value.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Where it stands, or where the default that took its place would.
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// What may be shown instead of the value: the text with its placeholders, or without its password.
    pub(crate) placeholder: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A section that is switched off.
    Off,
    Text(String),
    /// A text that is shown as stars.
    Secret(String),
    Flag(bool),
    Rate(f64),
    Start(Start),
    /// What it is, and what may be shown of it: placeholders stay placeholders.
    Json {
        value: serde_json::Value,
        shown: serde_json::Value,
    },
    Number(u64),
    Size(u64),
    Duration(Duration),
    Range(Duration, Duration),
    Address(SocketAddr),
    List(Vec<Item>),
    Map(Vec<Field>),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) item: Item,
    /// False for a default.
    pub(crate) given: bool,
}

impl Item {
    pub(crate) fn new(span: Span, value: Value) -> Self {
        Self { span, value, placeholder: None }
    }

    /// The value as it may be shown.
    pub(crate) fn shown(&self) -> String {
        if let Some(placeholder) = &self.placeholder {
            return placeholder.clone();
        }
        match &self.value {
            Value::Off => "false".into(),
            Value::Text(text) => text.clone(),
            Value::Secret(_) => "***".into(),
            Value::Flag(flag) => flag.to_string(),
            Value::Rate(rate) => rate.to_string(),
            Value::Start(start) => match start {
                Start::Latest => "latest".into(),
                Start::Earliest => "earliest".into(),
                Start::After(position) => position.to_string(),
                Start::At(moment) => moment.to_string(),
            },
            Value::Json { shown: serde_json::Value::String(text), .. } => text.clone(),
            Value::Json { shown, .. } => shown.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Size(bytes) => scalar::show_size(*bytes),
            Value::Duration(duration) => scalar::show_duration(*duration),
            Value::Range(first, last) => {
                format!("{}..{}", scalar::show_duration(*first), scalar::show_duration(*last))
            }
            Value::Address(address) => address.to_string(),
            Value::List(_) => "[…]".into(),
            Value::Map(_) => "{…}".into(),
        }
    }

    pub(crate) fn fields(&self) -> &[Field] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        self.field(name).map(|field| &field.item)
    }

    pub(crate) fn list(&self, name: &str) -> &[Item] {
        match self.get(name).map(|item| &item.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    pub(crate) fn as_secret(&self) -> Option<&str> {
        match &self.value {
            Value::Secret(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(crate) fn rate(&self, name: &str) -> Option<f64> {
        match self.get(name)?.value {
            Value::Rate(rate) => Some(rate),
            _ => None,
        }
    }

    pub(crate) fn start(&self, name: &str) -> Option<Start> {
        match self.get(name)?.value {
            Value::Start(start) => Some(start),
            _ => None,
        }
    }

    pub(crate) fn json(&self, name: &str) -> Option<&serde_json::Value> {
        match &self.get(name)?.value {
            Value::Json { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)?.value {
            Value::Number(number) | Value::Size(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)?.value {
            Value::Duration(duration) => Some(duration),
            _ => None,
        }
    }

    pub(crate) fn range(&self, name: &str) -> Option<(Duration, Duration)> {
        match self.get(name)?.value {
            Value::Range(first, last) => Some((first, last)),
            _ => None,
        }
    }

    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        match self.get(name)?.value {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }
}
