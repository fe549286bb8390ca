//! What a user writes about providers and translators.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use dozen_dataplane::resilience::BreakerPolicy;
use dozen_mapping::Value;
use serde::{Deserialize, Serialize};

/// Providers and the translators that ask them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// The systems of others, by name.
    pub providers: BTreeMap<String, ProviderOptions>,
    /// The operations of ours that they answer, by name.
    pub translators: BTreeMap<String, TranslatorOptions>,
}

/// One system of somebody else. What guards it is shared by all translators that ask it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProviderOptions {
    /// The service that it is reached as. Without it, its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How it is asked.
    pub speaks: Speaks,
    /// How long it may take for one answer.
    #[serde(with = "dozen_core::duration")]
    pub timeout: Duration,
    /// Requests to it at one time.
    pub in_flight_max: NonZeroU32,
    /// Requests that may wait for another to end; more are refused at once.
    pub pending_max: u32,
    /// When it is left alone because it keeps failing.
    pub circuit: BreakerPolicy,
    /// Bytes of an answer; a larger one is refused.
    pub answer_max: NonZeroUsize,
    /// Whether the recorded examples answer in its place. Nothing is sent to it then.
    pub mock: bool,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            service: None,
            speaks: Speaks::Http,
            timeout: Duration::from_secs(5),
            in_flight_max: const { NonZeroU32::new(32).expect("32 is not 0") },
            pending_max: 64,
            circuit: BreakerPolicy::default(),
            answer_max: const { NonZeroUsize::new(1024 * 1024).expect("a mebibyte is not 0") },
            mock: false,
        }
    }
}

/// How a provider is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// Over HTTP.
    #[default]
    Http,
    /// With a statement of SQL; its rows are the answer.
    Sql,
    /// With a message, whose reply is the answer.
    Messages,
}

impl Speaks {
    /// In a sentence.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Http => "a provider that is asked over HTTP",
            Self::Sql => "a database",
            Self::Messages => "a provider that is asked with messages",
        }
    }
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

/// How one provider is asked, and how its answer is understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskOptions {
    /// Who.
    pub provider: String,
    /// What is sent.
    #[serde(default)]
    pub request: RequestOptions,
    /// What comes back.
    #[serde(default)]
    pub answer: AnswerOptions,
    /// Their errors as ours. The first one whose condition holds counts.
    #[serde(default)]
    pub errors: Vec<ErrorOptions>,
}

/// A request in their model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestOptions {
    /// The method.
    pub method: String,
    /// The path, with `{name}` for values of `with`, each of which stays within its segment.
    pub path: String,
    /// A table that makes the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// Headers, with `{name}` for values of `with`.
    pub headers: BTreeMap<String, String>,
    /// The format of the document that is sent. Without it, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
    /// A table that makes the document. Without it, it is what `with` makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// A table that makes the header of an envelope of SOAP. Without it, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
    /// The statement for a database, with `:name` for values of `with`, or of `map` where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Whether the same request may be made twice, or elsewhere too, without harm. Without it, its method says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeatable: Option<bool>,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            query: None,
            headers: BTreeMap::new(),
            format: None,
            map: None,
            header: None,
            sql: None,
            repeatable: None,
        }
    }
}

impl RequestOptions {
    /// The keys that are set and mean nothing for a provider that is asked like this.
    pub(crate) fn is_foreign_to(&self, speaks: Speaks) -> Vec<&'static str> {
        let plain = Self::default();
        let of_http = [
            ("method", self.method != plain.method),
            ("path", self.path != plain.path),
            ("query", self.query.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        let keys: Vec<(&'static str, bool)> = match speaks {
            Speaks::Http => vec![("sql", self.sql.is_some())],
            Speaks::Sql => {
                let of_documents = [("format", self.format.is_some()), ("header", self.header.is_some())];
                of_http.into_iter().chain(of_documents).collect()
            }
            Speaks::Messages => of_http.into_iter().chain([("sql", self.sql.is_some())]).collect(),
        };
        keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }
}

/// An answer in their model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswerOptions {
    /// Its format.
    pub format: Value,
    /// JSON Schema of the document as the format reads it. The table needs no branch for what it promises, and live answers
    /// are compared with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// A table that makes our result. Without it, the result is the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// The same as one rule, where the result is no object: `{ each: …, map: … }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Value>,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { format: "json".into(), schema: None, map: None, rule: None }
    }
}

/// One error of theirs, and what it is in our words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErrorOptions {
    /// A condition in CEL over `status`, `fault` (`code`, `subcode`, `reason`, `detail`) and `body`.
    pub when: String,
    /// The last part of the problem's type, or a whole URI. Not with `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The status of the problem; 502 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What kind of thing is wrong, in our words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A table over `status`, `fault` and `body` that makes further members of the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Value>,
    /// Whether it means that the next provider is asked.
    #[serde(default)]
    pub next: bool,
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
