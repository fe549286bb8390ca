//! What is known of topics and queues wherever the store is: settings, declared once and read by every program.
//!
//! `dozen up` declares what its file says; a program that sends or receives finds it in the store that they share. So a
//! setting stands in one place, and a slip in a name is noticed in a program that has never seen the file.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::nearest;
use dozen_store::{Expect, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// Names that are read to find the nearest one.
const NAMES_MAX: usize = 1_000;

/// A topic's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicSettings {
    /// How long messages are kept for those who come late. A subscription that has not read one keeps it for longer.
    pub keep: Duration,
    /// How many bytes of payload are kept, whatever their age. A subscription that has not read one keeps it nevertheless.
    pub bytes_keep: Option<u64>,
    /// Whether only the last message of each key is kept. Messages without a key are kept as they are elsewhere.
    pub compact: bool,
    /// The largest payload that it takes, in bytes.
    pub bytes_max: u64,
    /// The attribute, or the member of a JSON payload, that orders messages which bring no key of their own.
    pub key: Option<String>,
    /// The JSON Schema that payloads must satisfy.
    pub schema: Option<Value>,
    /// What a changed schema must not break.
    pub compatibility: Compatibility,
    /// Whether payloads are sealed: who publishes or subscribes must have the application's keys.
    pub sealed: bool,
}

/// What a changed schema of a topic must not break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// Anything may change.
    None,
    /// Who reads by the new schema can read what was written by the old one: subscribers are deployed first.
    #[default]
    Backward,
    /// Who reads by the old schema can read what is written by the new one: publishers are deployed first.
    Forward,
    /// Both.
    Full,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(7 * 24 * 3600),
            bytes_keep: None,
            compact: false,
            bytes_max: 1024 * 1024,
            key: None,
            schema: None,
            compatibility: Compatibility::default(),
            sealed: false,
        }
    }
}

impl TopicSettings {
    /// The stream that holds the messages of `topic`.
    pub fn stream(topic: &str) -> Arc<str> {
        format!("topic/{topic}").into()
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
