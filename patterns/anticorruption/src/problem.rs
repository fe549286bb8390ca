//! What a caller of ours hears when an operation does not succeed: RFC 9457, in our words only.

use std::fmt;
use std::time::Duration;

use dozen_core::{Diagnose, Fault, Retry};
use dozen_mapping::{Object, Value, json};

/// Why an operation did not succeed, from a closed set: good for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// What came in is not what the operation takes.
    Invalid,
    /// A provider answered with an error that a rule of the file knows.
    Known,
    /// A provider answered with an error that no rule knows.
    Refused,
    /// No provider could be had.
    Unavailable,
    /// It took too long.
    Late,
    /// A document could not be read, written or translated.
    Untranslatable,
}

impl Cause {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Invalid, Self::Known, Self::Refused, Self::Unavailable, Self::Late, Self::Untranslatable];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Known => "known",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Untranslatable => "untranslatable",
        }
    }
}

/// A problem in our words. Nothing that a provider wrote is in it, but for members that a table of the file asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why.
    pub cause: Cause,
    /// The last part of its type, or a whole URI.
    pub kind: Box<str>,
    /// The status.
    pub status: u16,
    /// What kind of thing is wrong.
    pub title: Box<str>,
    /// What was wrong here.
    pub detail: Box<str>,
    /// Further members.
    pub members: Object,
    /// How long to stay away, where that can be told.
    pub retry_after: Option<Duration>,
}

impl Problem {
    fn new(cause: Cause, kind: &str, status: u16, title: &str, detail: impl Into<String>) -> Self {
        let (kind, title, detail) = (kind.into(), title.into(), detail.into().into());
        Self { cause, kind, status, title, detail, members: Object::default(), retry_after: None }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Cause::Invalid, "invalid-request", 400, "The request cannot be read", detail)
    }

    pub(crate) fn known(kind: &str, status: u16, title: &str) -> Self {
        Self::new(Cause::Known, kind, status, title, "")
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(Cause::Refused, "provider-refused", 502, "Another system refused", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let title = "Another system is not available";
        let problem = Self::new(Cause::Unavailable, "provider-unavailable", 503, title, detail);
        Self { retry_after, ..problem }
    }

    pub(crate) fn late(detail: impl Into<String>) -> Self {
        Self::new(Cause::Late, "provider-late", 504, "Another system did not answer in time", detail)
    }

    pub(crate) fn untranslatable(detail: impl Into<String>) -> Self {
        let title = "A document could not be translated";
        Self::new(Cause::Untranslatable, "translation-failed", 502, title, detail)
    }

    /// Its type as a URI.
    pub fn type_uri(&self) -> String {
        match self.kind.contains(':') {
            true => self.kind.to_string(),
            false => format!("urn:dozen:problem:{}", self.kind),
        }
    }

    /// As a document of RFC 9457.
    pub fn to_value(&self) -> Value {
        let mut members = Object::default();
        for (name, value) in self.members.iter() {
            members.insert(name.clone(), value.clone());
        }
        // What the RFC names is ours to say; a table cannot replace it.
        members.insert("type".into(), self.type_uri().into());
        members.insert("title".into(), (&*self.title).into());
        members.insert("status".into(), i64::from(self.status).into());
        if !self.detail.is_empty() {
            members.insert("detail".into(), (&*self.detail).into());
        }
        Value::Object(members)
    }

    /// The same as text.
    pub fn to_json(&self) -> String {
        json::write(&self.to_value())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.detail {
            "" => f.write_str(&self.title),
            detail => write!(f, "{}: {detail}", self.title),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnose for Problem {
    fn fault(&self) -> Fault {
        match self.cause {
            Cause::Invalid | Cause::Known => Fault::Caller,
            Cause::Refused | Cause::Unavailable | Cause::Late | Cause::Untranslatable => Fault::Dependency,
        }
    }

    fn retry(&self) -> Retry {
        match (self.cause, self.retry_after) {
            (Cause::Unavailable, Some(after)) => Retry::After(after),
            (Cause::Unavailable | Cause::Late, _) => Retry::Later,
            _ => Retry::Never,
        }
    }

    fn page(&self) -> &'static str {
        match self.cause {
            Cause::Invalid => "invalid-request",
            Cause::Untranslatable => "translation-failed",
            Cause::Known | Cause::Refused | Cause::Unavailable | Cause::Late => "http-upstream",
        }
    }
}
