//! `as:` one kind of value from another.
//!
//! A conversion gives a value, or nothing where a blank stands for nothing, or fails. None of them guesses: a text that
//! is no decimal, a digit too many, a day that no calendar has are errors, and what happens then is said by the field.

use std::borrow::Cow;

use jiff::tz::Disambiguation;

use super::arguments::Call;
use super::moment::{Moment, Notation, zone};
use super::number::{Decimals, minor_units};
use crate::value::{Decimal, Number, Rounding, Value};

/// A compiled `as:`.
#[derive(Clone, Debug)]
pub(crate) struct Convert {
    kind: Kind,
    /// From ours to theirs.
    back: bool,
}

#[derive(Clone, Debug)]
enum Kind {
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
                let decimal = decimals.read(text)?;
                Some(match decimals.text {
                    true => Value::text(decimal.to_string()),
                    false => Value::Number(Number::from(&decimal)),
                })
            }
            Kind::Money { currency, decimals } => {
                let amount = decimals.read(text)?.to_string();
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
            Kind::Date(moment) => Some(Value::text(moment.date(text)?.to_string())),
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
        Value::Number(number) => number.to_string().into(),
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

/// The words of a conversion that has no other arguments.
fn flags<'k>(call: &Call, known: &[&'k str]) -> Result<Vec<&'k str>, String> {
    let word = |(key, word): &(Option<String>, String)| match known.iter().find(|known| **known == *word) {
        Some(known) if key.is_none() => Ok(*known),
        _ => Err(format!("`{}` takes no `{word}`", call.name)),
    };
    call.arguments.iter().map(word).collect()
}

fn decimals(arguments: &[(Option<String>, String)]) -> Result<Decimals, String> {
    let mut decimals = Decimals::default();
    for (key, word) in arguments {
        match (key, word.as_str()) {
            (None, "half-even") => decimals.rounding = Some(Rounding::HalfEven),
            (None, "half-up") => decimals.rounding = Some(Rounding::HalfUp),
            (None, "comma") => decimals.comma = true,
            (None, "grouped") => decimals.grouped = true,
            (None, "implied") => decimals.implied = true,
            (None, "text") => decimals.text = true,
            (None, number) => match number.parse::<u32>() {
                Ok(scale) if scale <= 100 => decimals.scale = Some(scale),
                _ => {
                    return Err(format!(
                        "`{number}` means nothing here; there are a number of digits up to 100, `half-even`, `half-up`, \
                         `comma`, `grouped`, `implied` and `text`"
                    ));
                }
            },
            (Some(key), _) => return Err(format!("there is no argument `{key}:`")),
        }
    }
    if decimals.implied && decimals.scale.is_none() {
        return Err("`implied` needs the number of digits behind the point: `decimal(2, implied)`".into());
    }
    if decimals.rounding.is_some() && decimals.scale.is_none() {
        return Err("rounding needs a number of digits: `decimal(2, half-even)`".into());
    }
    Ok(decimals)
}

fn money(call: &Call) -> Result<Kind, String> {
    let currency = match call.arguments.first() {
        Some((None, currency)) => currency.clone(),
        _ => return Err("`money` needs a currency: `money(EUR)`".into()),
    };
    let units = minor_units(&currency).ok_or_else(|| {
        format!("`{currency}` is no currency; write three capital letters, as `money(EUR)`")
    })?;
    let mut rest: Vec<_> = call.arguments[1..].to_vec();
    // The currency says how many digits there are, before `implied` asks for them.
    if !rest.iter().any(|(_, word)| word.parse::<u32>().is_ok()) {
        rest.insert(0, (None, units.to_string()));
    }
    Ok(Kind::Money { currency, decimals: decimals(&rest)? })
}

fn boolean(call: &Call) -> Result<Kind, String> {
    match call.arguments.as_slice() {
        [] => Ok(Kind::Boolean { words: None }),
        [(None, yes), (None, no)] if yes != no => {
            Ok(Kind::Boolean { words: Some((yes.trim().to_owned(), no.trim().to_owned())) })
        }
        _ => Err("`boolean` takes a word for true and another for false: `boolean(Y, N)`".into()),
    }
}

fn moment(call: &Call, with_time: bool) -> Result<Moment, String> {
    let mut moment = Moment { notation: Notation::Iso, zone: None, repeated: Disambiguation::Reject };
    let name_zone = |name: &str| {
        zone(name).ok_or_else(|| format!("there is no zone `{name}`; write `Europe/Berlin` or `UTC`"))
    };
    for (at, (key, word)) in call.arguments.iter().enumerate() {
        match (key.as_deref(), word.as_str(), at) {
            (Some("zone"), name, _) => moment.zone = Some(name_zone(name)?),
            (Some(key), ..) => return Err(format!("there is no argument `{key}:`; there is `zone:`")),
            (None, pattern, 0) => moment.notation = Notation::parse(pattern)?,
            (None, "earlier", _) => moment.repeated = Disambiguation::Earlier,
            (None, "later", _) => moment.repeated = Disambiguation::Later,
            (None, name, _) => moment.zone = Some(name_zone(name)?),
        }
    }
    let absolute = moment.notation.is_absolute();
    let example = format!("`{}(\"dd.MM.yyyy HH:mm\", zone: Europe/Berlin)`", call.name);
    match () {
        () if !moment.notation.has_date() => {
            Err(format!("the pattern needs a year, a month and a day: {example}"))
        }
        () if with_time && !moment.notation.has_time() => {
            Err("the pattern has no time of the day; a day without one is `date`".into())
        }
        () if with_time && !absolute && moment.zone.is_none() => {
            Err(format!("the pattern has no offset, so it needs a zone: {example}"))
        }
        () if !with_time
            && absolute
            && moment.zone.is_none()
            && !matches!(moment.notation, Notation::Iso) =>
        {
            Err(format!("which day a moment is depends on the zone: {example}"))
        }
        () => Ok(moment),
    }
}
