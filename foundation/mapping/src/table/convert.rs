//! `as:` one kind of value from another.
//!
//! A conversion gives a value, or nothing where a blank stands for nothing, or fails. None of them guesses: a text that
//! is no decimal, a digit too many, a day that no calendar has are errors, and what happens then is said by the field.

use std::borrow::Cow;

use super::arguments::Call;
use super::moment::{Moment, Notation, iso};
use super::notation::{boolean, decimals, flags, moment, money};
use super::number::Decimals;
use crate::value::{Decimal, Number, Value};

/// A compiled `as:`.
#[derive(Clone, Debug)]
pub(crate) struct Convert {
    kind: Kind,
    /// From ours to theirs.
    back: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text { trim: bool },
    Integer,
    Decimal(Decimals),
    Money { currency: String, decimals: Decimals },
    Boolean { words: Option<(String, String)> },
    Date(Moment),
    Timestamp(Moment),
    Any,
}

/// The conversions that there are.
const NAMES: [&str; 8] = ["text", "integer", "decimal", "money", "boolean", "date", "timestamp", "any"];

/// What people call them elsewhere.
const ELSEWHERE: [(&str, &str); 11] = [
    ("int", "integer"),
    ("long", "integer"),
    ("string", "text"),
    ("str", "text"),
    ("number", "decimal"),
    ("float", "decimal"),
    ("double", "decimal"),
    ("bool", "boolean"),
    ("datetime", "timestamp"),
    ("time", "timestamp"),
    ("raw", "any"),
];

impl Convert {
    /// Compiles `money(EUR)` and its like; an error has a hint with it, if there is one.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        let plain = |problem: String| (problem, None);
        let call = Call::parse(text).map_err(plain)?;
        let kind = match call.name.as_str() {
            "text" => Kind::Text { trim: flags(&call, &["trim"]).map_err(plain)?.contains(&"trim") },
            "integer" => {
                flags(&call, &[]).map_err(plain)?;
                Kind::Integer
            }
            "any" => {
                flags(&call, &[]).map_err(plain)?;
                Kind::Any
            }
            "decimal" => Kind::Decimal(decimals(&call.arguments).map_err(plain)?),
            "money" => money(&call).map_err(plain)?,
            "boolean" => boolean(&call).map_err(plain)?,
            "date" => Kind::Date(moment(&call, false).map_err(plain)?),
            "timestamp" => Kind::Timestamp(moment(&call, true).map_err(plain)?),
            other => {
                let known = ELSEWHERE.iter().find(|(theirs, _)| *theirs == other).map(|(_, ours)| *ours);
                let near = dozen_core::nearest(other, NAMES);
                let hint = match known.or(near.first().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", NAMES.map(|name| format!("`{name}`")).join(", ")),
                };
                return Err((format!("there is no conversion `{other}`"), Some(hint)));
            }
        };
        Ok(Self { kind, back: false })
    }

    /// The conversion from ours back to theirs.
    pub(crate) fn reversed(&self) -> Self {
        Self { back: !self.back, ..self.clone() }
    }

    /// What it is in a sentence: "no decimal".
    pub(crate) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Text { .. } => "text",
            Kind::Integer => "integer",
            Kind::Decimal(_) => "decimal",
            Kind::Money { .. } => "amount of money",
            Kind::Boolean { .. } => "boolean",
            Kind::Date(_) => "date",
            Kind::Timestamp(_) => "moment",
            Kind::Any => "value",
        }
    }

    /// The types of JSON Schema that it gives; none where anything may come.
    pub(crate) fn gives(&self) -> Option<&'static str> {
        match (&self.kind, self.back) {
            (Kind::Any, _) => None,
            (Kind::Integer, _) => Some("integer"),
            (Kind::Decimal(decimals), false) => Some(if decimals.text { "string" } else { "number" }),
            (Kind::Decimal(decimals) | Kind::Money { decimals, .. }, true) => {
                Some(if decimals.is_foreign() { "string" } else { "number" })
            }
            (Kind::Money { .. }, false) => Some("object"),
            (Kind::Boolean { words: Some(_) }, true) => Some("string"),
            (Kind::Boolean { .. }, _) => Some("boolean"),
            (Kind::Text { .. } | Kind::Date(_) | Kind::Timestamp(_), _) => Some("string"),
        }
    }

    /// Whether a value of these types of JSON Schema, with this `format`, can always be converted, and is never a
    /// blank that stands for nothing.
    pub(crate) fn is_sure_of(&self, types: &[&str], format: Option<&str>) -> bool {
        let all = |known: &[&str]| !types.is_empty() && types.iter().all(|own| known.contains(own));
        if self.back {
            return false;
        }
        match &self.kind {
            Kind::Any => true,
            Kind::Text { .. } => all(&["string", "number", "integer", "boolean"]),
            Kind::Integer => all(&["integer"]),
            Kind::Decimal(decimals) => {
                let plain = !decimals.implied && (decimals.scale.is_none() || decimals.rounding.is_some());
                (plain && all(&["integer", "number"])) || (!decimals.implied && all(&["integer"]))
            }
            Kind::Money { decimals, .. } => all(&["integer"]) && !decimals.implied,
            Kind::Boolean { words } => words.is_none() && all(&["boolean"]),
            Kind::Date(moment) => {
                matches!(moment.notation, Notation::Iso) && all(&["string"]) && format == Some("date")
            }
            Kind::Timestamp(moment) => {
                matches!(moment.notation, Notation::Iso) && all(&["string"]) && format == Some("date-time")
            }
        }
    }

    /// Converts; `Ok(None)` for a blank that stands for nothing, `Err` where it cannot be done.
    pub(crate) fn apply(&self, value: &Value) -> Result<Option<Value>, ()> {
        if let Kind::Any = self.kind {
            return Ok(Some(value.clone()));
        }
        if let (Kind::Money { currency, decimals }, true) = (&self.kind, self.back) {
            return amount(value, currency, decimals).ok_or(()).map(Some);
        }
        if let (Kind::Integer, Value::Number(number)) = (&self.kind, value)
            && number.as_i64().is_some()
        {
            return Ok(Some(value.clone()));
        }
        let text = scalar(value).ok_or(())?;
        if let Kind::Text { trim } = self.kind {
            return Ok(Some(match (value, &text) {
                (Value::Text(text), _) if !trim => Value::Text(text.clone()),
                (_, text) if trim => Value::text(text.trim()),
                (_, text) => Value::text(&**text),
            }));
        }
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let converted = match self.back {
            false => self.forward(text),
            true => self.backward(text),
        };
        converted.ok_or(()).map(Some)
    }

    fn forward(&self, text: &str) -> Option<Value> {
        match &self.kind {
            Kind::Text { .. } | Kind::Any => Some(Value::text(text)),
            Kind::Integer => integer(text),
            Kind::Decimal(decimals) => {
                let number = decimals.text(text)?;
                Some(match decimals.text {
                    true => Value::text(number),
                    false => Value::Number(Number::checked(number)),
                })
            }
            Kind::Money { currency, decimals } => {
                let amount = decimals.text(text)?;
                Some(Value::object([
                    ("amount", Value::text(amount)),
                    ("currency", Value::text(currency.as_str())),
                ]))
            }
            Kind::Boolean { words } => {
                let (yes, no) = words.as_ref().map_or(("true", "false"), |(yes, no)| (yes, no));
                [(yes, true), (no, false)]
                    .iter()
                    .find(|(word, _)| *word == text)
                    .map(|(_, truth)| Value::Bool(*truth))
            }
            Kind::Date(moment) => Some(iso(moment.date(text)?)),
            Kind::Timestamp(moment) => Some(Value::text(moment.timestamp(text)?.to_string())),
        }
    }

    fn backward(&self, text: &str) -> Option<Value> {
        match &self.kind {
            Kind::Text { .. } | Kind::Any => Some(Value::text(text)),
            Kind::Integer => integer(text),
            Kind::Decimal(decimals) => number(decimals, Decimal::parse(text)?),
            Kind::Money { .. } => None,
            Kind::Boolean { words } => match (text, words) {
                ("true", Some((yes, _))) => Some(Value::text(yes.as_str())),
                ("false", Some((_, no))) => Some(Value::text(no.as_str())),
                ("true" | "false", None) => Some(Value::Bool(text == "true")),
                _ => None,
            },
            Kind::Date(moment) => Some(Value::text(moment.write_date(text.parse().ok()?)?)),
            Kind::Timestamp(moment) => Some(Value::text(moment.write_timestamp(text.parse().ok()?)?)),
        }
    }
}

/// The text of a scalar, or of an element that has attributes beside it.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Number(number) => number.as_text(),
        Value::Bool(truth) => if *truth { "true" } else { "false" }.into(),
        Value::Object(object) if !object.is_empty() => {
            let attributes = object.iter().filter(|(name, _)| name.starts_with('@')).count();
            match object.get("#text") {
                Some(text) if attributes + 1 == object.len() => Cow::Borrowed(text.as_text()?),
                None if attributes == object.len() => "".into(),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn integer(text: &str) -> Option<Value> {
    if let Some(number) = Number::parse(text).filter(|number| number.as_i64().is_some()) {
        return Some(Value::Number(number));
    }
    let decimal = Decimal::parse(text)?.with_scale(0, None)?;
    Some(Value::Number(Number::from(&decimal)))
}

/// A number in the other side's notation: a number, or a text where it has signs of its own.
fn number(decimals: &Decimals, decimal: Decimal) -> Option<Value> {
    let text = decimals.write(decimal)?;
    match decimals.is_foreign() {
        true => Some(Value::text(text)),
        false => Number::parse(&text).map(Value::Number),
    }
}

fn amount(value: &Value, currency: &str, decimals: &Decimals) -> Option<Value> {
    if value.get("currency")?.as_text()? != currency {
        return None;
    }
    number(decimals, Decimal::parse(&scalar(value.get("amount")?)?)?)
}
