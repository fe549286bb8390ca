//! A message as engines keep it.

use bytes::Bytes;
use dozen_core::{Attribute, Message, MessageError};
use serde_json::Value;

/// A message in columns: what engines index stands alone, the rest of the attributes is one JSON object.
///
/// Made on the caller's thread, so that the one writer of a store does not spend its time on encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The CloudEvent's id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its ordering key.
    pub key: Option<String>,
    /// All its other attributes: a JSON object.
    pub attributes: String,
    /// Its payload.
    pub data: Bytes,
}

impl From<Message> for Record {
    fn from(mut message: Message) -> Self {
        let key = message.key().map(str::to_owned);
        message.extensions.remove("dozenkey");
        let attributes = Value::Object(message.attributes()).to_string();
        Self { id: message.id, kind: message.kind, key, attributes, data: message.data }
    }
}

impl TryFrom<Record> for Message {
    type Error = MessageError;

    fn try_from(record: Record) -> Result<Self, MessageError> {
        let mut message = Self::default();
        match serde_json::from_str(&record.attributes).map_err(MessageError::NotJson)? {
            Value::Object(attributes) => {
                for (name, value) in attributes {
                    message.set(name, value)?;
                }
            }
            _ => return Err(MessageError::NotAnObject),
        }
        message.id = record.id;
        message.kind = record.kind;
        message.data = record.data;
        if let Some(key) = record.key {
            message.extensions.insert("dozenkey".into(), Attribute::Text(key));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_columns() {
        let mut message = Message::new("1", "/a", "t").with_key("k").with_data(None, "{}");
        message.subject = Some("s".into());
        message.extensions.insert("n".into(), Attribute::Integer(5));
        let record = Record::from(message.clone());
        assert!(!record.attributes.contains("dozenkey"));
        assert_eq!(Message::try_from(record).unwrap(), message);
    }
}
