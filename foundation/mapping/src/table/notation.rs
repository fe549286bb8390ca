//! What stands in the brackets of a conversion.

use jiff::tz::Disambiguation;

use super::arguments::Call;
use super::convert::Kind;
use super::moment::{Moment, Notation, zone};
use super::number::{Decimals, minor_units};
use crate::value::Rounding;

/// The words of a conversion that has no other arguments.
pub(super) fn flags<'k>(call: &Call, known: &[&'k str]) -> Result<Vec<&'k str>, String> {
    let word = |(key, word): &(Option<String>, String)| match known.iter().find(|known| **known == *word) {
        Some(known) if key.is_none() => Ok(*known),
        _ => Err(format!("`{}` takes no `{word}`", call.name)),
    };
    call.arguments.iter().map(word).collect()
}

pub(super) fn decimals(arguments: &[(Option<String>, String)]) -> Result<Decimals, String> {
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

pub(super) fn money(call: &Call) -> Result<Kind, String> {
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

pub(super) fn boolean(call: &Call) -> Result<Kind, String> {
    match call.arguments.as_slice() {
        [] => Ok(Kind::Boolean { words: None }),
        [(None, yes), (None, no)] if yes != no => {
            Ok(Kind::Boolean { words: Some((yes.trim().to_owned(), no.trim().to_owned())) })
        }
        _ => Err("`boolean` takes a word for true and another for false: `boolean(Y, N)`".into()),
    }
}

pub(super) fn moment(call: &Call, with_time: bool) -> Result<Moment, String> {
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
