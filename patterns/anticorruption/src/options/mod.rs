//! What a user writes about providers and translators.

mod ask;
mod provider;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use dozen_mapping::Value;
use serde::{Deserialize, Serialize};

pub use ask::{AnswerOptions, AskOptions, ErrorOptions, RequestOptions};
pub use provider::{ProviderOptions, Speaks};

/// Providers and the translators that ask them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// The systems of others, by name.
    pub providers: BTreeMap<String, ProviderOptions>,
    /// The operations of ours that they answer, by name.
    pub translators: BTreeMap<String, TranslatorOptions>,
}

/// One operation of ours, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TranslatorOptions {
    /// The format of what comes in, where it comes as bytes.
    pub input_format: Value,
    /// The format of what goes out, where it goes as bytes.
    pub output_format: Value,
    /// JSON Schema of what comes in. Anything else is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    /// JSON Schema of what goes out: the tables are checked against it, and each result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
    /// The calls, by name. Those that need nothing of each other are made at the same time.
    pub calls: BTreeMap<String, CallOptions>,
    /// What the result is made of: a table over `input` and the results of the calls, by their names. Without it, the
    /// operation has one call, and its result is that call's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// How long all of it may take.
    #[serde(with = "dozen_core::duration")]
    pub timeout: Duration,
    /// What is kept of results. Without it, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheOptions>,
    /// How live answers are compared with the examples.
    pub drift: DriftOptions,
    /// Files with examples: `{ "examples": [ … ] }`. Whoever loads the options reads them.
    pub examples: Vec<String>,
    /// Members that are masked in recorded examples, wherever they stand, beside those that look personal by their name.
    pub redact: Vec<String>,
}

impl Default for TranslatorOptions {
    fn default() -> Self {
        Self {
            input_format: "json".into(),
            output_format: "json".into(),
            input: None,
            output: None,
            calls: BTreeMap::new(),
            map: None,
            timeout: Duration::from_secs(10),
            cache: None,
            drift: DriftOptions::default(),
            examples: Vec::new(),
            redact: Vec::new(),
        }
    }
}

/// One question, and who may answer it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallOptions {
    /// What the question is made of: paths into `input` and into the results of other calls, which are made first. Without
    /// it, the whole input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// The ways to ask, in their order: the next one is taken when a provider cannot be had.
    pub ask: Vec<AskOptions>,
    /// Whether the operation goes on without an answer. `map` then says what stands in.
    pub optional: bool,
}

/// What is kept of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheOptions {
    /// For how long.
    #[serde(with = "dozen_core::duration", rename = "for")]
    pub ttl: Duration,
    /// How many; the oldest goes first.
    #[serde(default = "entries_max")]
    pub entries_max: NonZeroUsize,
    /// How many bytes all of them may have, as they would be written in JSON.
    #[serde(default = "bytes_max")]
    pub bytes_max: NonZeroUsize,
}

fn bytes_max() -> NonZeroUsize {
    const { NonZeroUsize::new(16 * 1024 * 1024).expect("16 mebibytes are not 0") }
}

fn entries_max() -> NonZeroUsize {
    const { NonZeroUsize::new(1000).expect("1000 is not 0") }
}

/// How live answers are compared with what the examples and the schema say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DriftOptions {
    /// One of so many answers is compared, the first among them.
    pub one_in: NonZeroU32,
    /// Differences that are kept for each way of asking; more are only counted.
    pub fields_max: NonZeroUsize,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self {
            one_in: const { NonZeroU32::new(100).expect("100 is not 0") },
            fields_max: const { NonZeroUsize::new(100).expect("100 is not 0") },
        }
    }
}
