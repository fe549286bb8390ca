//! What a message must be for a topic to take it.

use std::sync::Arc;

use dozen_core::{Attribute, Message, chain};
use dozen_schema::Schema;
use serde_json::Value;

use crate::{Error, Keyring, TopicSettings};

/// The door of one topic, built once from its settings: every way of publishing leads through it.
#[derive(Debug)]
pub struct Admission {
    topic: Arc<str>,
    settings: TopicSettings,
    schema: Option<Schema>,
    keys: Option<Keyring>,
}

impl Admission {
    /// The door of `topic`. A schema that cannot be compiled is an error; so is a sealed topic without keys, when something
    /// is to be published.
    pub fn new(topic: &str, settings: TopicSettings, keys: Option<Keyring>) -> Result<Self, Error> {
        let schema = settings.schema.as_ref().map(|schema| Schema::compile(schema.to_string().as_bytes()));
        let schema = schema.transpose().map_err(|error| {
            Error::Invalid(format!("the schema of topic `{topic}` cannot be used: {}", chain(&error)))
        })?;
        Ok(Self { topic: topic.into(), settings, schema, keys })
    }

    /// What its payloads must look like.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// The topic's settings.
    pub fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    /// Makes `message` ready for the topic, or refuses it: too large, not as the schema says. A key is taken out of the
    /// message where the settings say so, and a sealed topic's payload is sealed.
    ///
    /// What is sealed already is looked into where there are keys, and taken as it is where there are none.
    pub fn admit(&self, message: &mut Message) -> Result<(), Error> {
        let sealed = self.settings.sealed || Keyring::is_sealed(message);
        match &self.keys {
            Some(keys) => keys.unseal(message).map_err(|error| Error::Invalid(chain(&error)))?,
            None if Keyring::is_sealed(message) => return self.fits(message),
            None => {}
        }
        self.check(message)?;
        if let (None, Some(member)) = (message.key(), &self.settings.key)
            && let Some(key) = key_in(message, member)
        {
            message.extensions.insert("dozenkey".into(), key);
        }
        if sealed {
            let keys = self.keys.as_ref().ok_or_else(|| {
                let topic = &self.topic;
                Error::Invalid(format!(
                    "topic `{topic}` is sealed, and this program has no keys to seal with"
                ))
            })?;
            keys.seal(message).map_err(|error| Error::Invalid(chain(&error)))?;
        }
        Ok(())
    }

    /// Whether the topic takes `message` as it is.
    pub fn check(&self, message: &Message) -> Result<(), Error> {
        self.fits(message)?;
        let Some(schema) = &self.schema else { return Ok(()) };
        let (topic, id) = (&self.topic, &message.id);
        if !message.is_json() {
            let problem =
                format!("topic `{topic}` has a schema, and message `{id}` says that it carries no JSON");
            return Err(Error::Invalid(problem));
        }
        schema.validate(&message.data).map_err(|violations| {
            let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
            let violations = violations.join("; ");
            Error::Invalid(format!("message `{id}` breaks the schema of topic `{topic}`: {violations}"))
        })
    }

    fn fits(&self, message: &Message) -> Result<(), Error> {
        let (bytes, bytes_max) = (message.data.len() as u64, self.settings.bytes_max);
        if bytes > bytes_max {
            return Err(Error::TooLarge { name: self.topic.to_string(), bytes, bytes_max });
        }
        Ok(())
    }
}

/// The key that stands in an attribute of this name, or in this member of a payload. One that is missing orders nothing.
fn key_in(message: &Message, member: &str) -> Option<Attribute> {
    let attribute = match member {
        "subject" => message.subject.clone().map(Attribute::Text),
        _ => message.extensions.get(member).map(|value| Attribute::Text(value.text())),
    };
    if attribute.is_some() {
        return attribute;
    }
    let data: Value = serde_json::from_slice(&message.data).ok().filter(|_| message.is_json())?;
    match data.get(member)? {
        Value::String(text) => Some(text.clone().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}
