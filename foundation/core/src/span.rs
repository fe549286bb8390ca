//! A step of a trace that has ended, for whoever keeps such things.

use std::borrow::Cow;
use std::time::Duration;

use crate::{Timestamp, TraceContext};

/// What a step was: somebody was asked, or asked somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace; the parent that this names to others is the step itself.
    pub trace: TraceContext,
    /// The step that caused it, if there was one.
    pub parent: Option<u64>,
    /// On which side of the conversation it was.
    pub side: Side,
    /// A name that few steps have in common with many others: `GET /orders/{id}`, never `GET /orders/7`.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed.
    pub is_failed: bool,
    /// What else is known of it. No secrets.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// Who a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// To who was asked.
    Server,
    /// To who asks.
    Client,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Keeps steps. Called where requests are served: nothing in it may wait.
pub trait Recorder: Send + Sync + 'static {
    /// Whether steps of this trace are kept, where `sent` is what the one before said of that. `None`: nobody keeps any, and
    /// nobody has decided.
    fn samples(&self, trace_id: u128, sent: Option<bool>) -> Option<bool>;

    /// Keeps one, or counts that it could not.
    fn record(&self, span: Span);
}
