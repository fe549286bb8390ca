//! What a user writes about the comparison of two answers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Share;

/// How answers are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CompareOptions {
    /// How many of the requests are also sent to the other side.
    pub sample: Share,
    /// Headers that must be equal.
    pub headers: Vec<String>,
    /// Places that do not matter: `$.generatedAt`, `$.items[*].id`, `$..etag`.
    pub ignore: Vec<String>,
    /// Arrays whose order does not matter: `$.tags`, or `$.items by sku` to find elements by a member.
    pub unordered: Vec<String>,
    /// How far values may be apart: `$.total: 0.01`, `$.rate: 1%`, `$.at: 2s`.
    pub tolerance: BTreeMap<String, Tolerance>,
    /// Texts whose case does not matter.
    pub any_case: Vec<String>,
    /// Texts, such as links, that may end with a slash or not.
    pub trailing_slash: Vec<String>,
    /// Host names that are one and the same in texts and headers.
    pub hosts: Vec<String>,
    /// Places whose values are not kept when they differ. What looks like personal data by its name never is.
    pub redact: Vec<String>,
    /// Differences of one comparison that are kept.
    pub differences_max: NonZeroUsize,
    /// Bytes of an answer's body that is compared; a larger one is not.
    pub body_max: usize,
    /// How long to wait before two answers that differ are asked for once more. What has only been late is no difference.
    #[serde(with = "dozen_core::duration")]
    pub confirm_after: Duration,
    /// What the old system is unsure of itself.
    pub noise: NoiseOptions,
    /// The translators that bring each side's answers into the domain's model, by name; without them answers are compared as
    /// they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translators: Option<TranslatorNames>,
}

/// A translator for each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TranslatorNames {
    /// Of the old side's answers.
    pub old: String,
    /// Of the new side's answers.
    pub new: String,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            sample: Share::ALL,
            headers: vec!["content-type".into(), "location".into()],
            ignore: Vec::new(),
            unordered: Vec::new(),
            tolerance: BTreeMap::new(),
            any_case: Vec::new(),
            trailing_slash: Vec::new(),
            hosts: Vec::new(),
            redact: Vec::new(),
            differences_max: const { NonZeroUsize::new(20).expect("20 is not 0") },
            body_max: 256 * 1024,
            confirm_after: Duration::from_millis(250),
            noise: NoiseOptions::default(),
            translators: None,
        }
    }
}

/// What the old system is unsure of itself: learnt by asking it twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NoiseOptions {
    /// How many of the compared reads are sent to the old system twice. 0% learns nothing.
    pub replay_old: Share,
    /// How many must have been before comparisons count; until then every compared read is sent twice.
    pub samples: u32,
    /// From this rate on a place that differs between two answers of the old system is noise.
    pub floor: Share,
}

impl Default for NoiseOptions {
    fn default() -> Self {
        Self { replay_old: Share::percent(2), samples: 20, floor: Share::percent(1) }
    }
}

/// How far two values may be apart. Written `0.01`, `1%` or, for times, `2s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Numbers, by so much.
    Absolute(f64),
    /// Numbers, by this part of the greater.
    Relative(f64),
    /// Times of RFC 3339, by so long.
    Within(Duration),
}

impl Serialize for Tolerance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absolute(by) => serializer.serialize_f64(*by),
            Self::Relative(part) => serializer.collect_str(&format_args!("{}%", part * 100.0)),
            Self::Within(time) => dozen_core::duration::serialize(time, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(by) if by.is_finite() && by >= 0.0 => Ok(Self::Absolute(by)),
            Written::Number(by) => Err(de::Error::custom(format!("a tolerance of {by} makes no sense"))),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}
