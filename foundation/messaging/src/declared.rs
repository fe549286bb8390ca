//! What is known of topics and queues wherever the store is: settings, declared once and read by every program.
//!
//! `dozen up` declares what its file says; a program that sends or receives finds it in the store that they share. So a
//! setting stands in one place, and a slip in a name is noticed in a program that has never seen the file.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Message, nearest};
use dozen_store::{Expect, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// Names that are read to find the nearest one.
const NAMES_MAX: usize = 1_000;

/// A topic's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    /// How long messages are kept for those who come late. A subscription that has not read one keeps it for longer.
    pub keep: Duration,
    /// The largest payload that it takes, in bytes.
    pub bytes_max: u64,
    /// The member of a JSON payload that orders messages which bring no key of their own.
    pub key: Option<String>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 24 * 3600), bytes_max: 1024 * 1024, key: None }
    }
}

impl TopicSettings {
    /// The stream that holds the messages of `topic`.
    pub fn stream(topic: &str) -> Arc<str> {
        format!("topic/{topic}").into()
    }

    /// Makes `message` ready for `topic`: refuses one that is too large, and takes the key out of the payload.
    pub fn admit(&self, topic: &str, message: &mut Message) -> Result<(), Error> {
        let bytes = message.data.len() as u64;
        if bytes > self.bytes_max {
            return Err(Error::TooLarge { name: topic.to_owned(), bytes, bytes_max: self.bytes_max });
        }
        if let (None, Some(member)) = (message.key(), &self.key)
            && let Some(key) = key_in(message, member)
        {
            message.extensions.insert("dozenkey".into(), key.into());
        }
        Ok(())
    }
}

/// The key that stands in a payload. One that is missing, or no JSON, orders nothing.
fn key_in(message: &Message, member: &str) -> Option<String> {
    let data: Value = serde_json::from_slice(&message.data).ok().filter(|_| message.is_json())?;
    match data.get(member)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Writes down the settings of the `kind` (`topic` or `queue`) called `name`.
pub async fn declare(store: &Store, kind: &str, name: &str, settings: &impl Serialize) -> Result<(), Error> {
    let value = serde_json::to_vec(settings)
        .map_err(|error| Error::Invalid(format!("the settings of {kind} `{name}`: {error}")))?;
    let table = store.table(kind);
    let known = table.get(name).await.map_err(failed(kind, name))?;
    if known.is_none_or(|row| row.value != value) {
        table.put(name, value, Expect::Any, None).await.map_err(failed(kind, name))?;
    }
    Ok(())
}

/// The settings that were declared for it, if any were.
pub async fn declared<T: DeserializeOwned>(
    store: &Store,
    kind: &str,
    name: &str,
) -> Result<Option<T>, Error> {
    let Some(row) = store.table(kind).get(name).await.map_err(failed(kind, name))? else { return Ok(None) };
    let settings = serde_json::from_slice(&row.value);
    settings.map(Some).map_err(|error| {
        Error::Invalid(format!("the declared settings of {kind} `{name}` cannot be read: {error}"))
    })
}

/// That there is no such topic, with the names that may have been meant.
pub async fn unknown(store: &Store, kind: &'static str, name: &str) -> Error {
    let rows = store.table(kind).list("", NAMES_MAX).await.unwrap_or_default();
    let known = nearest(name, rows.iter().map(|row| row.key.as_str()));
    Error::Unknown { kind, name: name.chars().take(200).collect(), known }
}

fn failed(kind: &str, name: &str) -> impl FnOnce(dozen_store::Error) -> Error {
    let doing = format!("look up {kind} `{name}`");
    |error| Error::engine(doing, error)
}
