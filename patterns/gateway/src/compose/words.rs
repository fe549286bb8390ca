//! Texts with places that are filled from what is known: `/stock/{order.sku}`, `Order {order.id}`.

use std::borrow::Cow;

use dozen_mapping::Value;

use super::scope::{Known, Reference, Scope, Source};
use crate::places::{self, Part, Spelling};

/// A text with places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words(Box<[Part<Reference>]>);

/// What is not there of what a text refers to. Of several, the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    #[default]
    Nothing,
    /// Something of the request that need not be there: a parameter, a header.
    Fact,
    /// Something that another call should have given.
    Result,
    /// Something of the request's body.
    Body,
}

impl Lack {
    pub(super) fn of(reference: &Reference) -> Self {
        match reference.source {
            Source::Fact(_) => Self::Fact,
            Source::Call(_) => Self::Result,
            Source::Body => Self::Body,
        }
    }
}

impl Words {
    /// `is_url` says that it is a path, and a query behind `?`. `{{` and `}}` stand for braces.
    pub(super) fn parse(text: &str, is_url: bool, scope: &mut Scope<'_>) -> Result<Self, String> {
        let parts = places::parts(text, is_url, |inside, spelling| scope.reference(inside, spelling))?;
        Ok(Self(parts))
    }

    /// The one reference that it is, if there is nothing around it.
    pub(super) fn alone(&self) -> Option<&Reference> {
        match &*self.0 {
            [Part::Place(reference, _)] => Some(reference),
            _ => None,
        }
    }

    /// The text, if it has no places.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends it; what is not there is empty, and said.
    pub(super) fn write(&self, known: &Known<'_>, out: &mut String) -> Lack {
        let mut lack = Lack::Nothing;
        for part in &self.0 {
            let (reference, spelling) = match part {
                Part::Literal(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Place(reference, spelling) => (reference, *spelling),
            };
            let value = known.value(reference);
            // A fact is spelled already, as it has to be here.
            let is_spelled = matches!((&value, reference.source), (Some(Cow::Owned(_)), Source::Fact(_)));
            let text = value.as_deref().and_then(scalar);
            // A segment of nothing would be another path.
            match text.filter(|text| spelling != Spelling::Path || !text.is_empty()) {
                None => lack = lack.max(Lack::of(reference)),
                Some(text) if is_spelled => out.push_str(&text),
                Some(text) => spell(&text, spelling, out),
            }
        }
        lack
    }
}

/// A value as a text, if it is one value.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

/// Appends `text` so that it stays one segment of a path, or one value of a query.
pub(super) fn spell(text: &str, spelling: Spelling, out: &mut String) {
    if spelling == Spelling::Plain {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}
