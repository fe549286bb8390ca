//! Numbers in the notations of others, exact.

use std::borrow::Cow;

use crate::value::{Decimal, Rounding, Text, TextBuilder, number_scan};

/// How a decimal is written on the other side, and which one we want.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decimals {
    /// Digits behind the point, where they are fixed.
    pub(super) scale: Option<u32>,
    /// What happens to further digits; without it they are an error.
    pub(super) rounding: Option<Rounding>,
    /// `1234,56`.
    pub(super) comma: bool,
    /// `1.234,56` or `1,234.56`.
    pub(super) grouped: bool,
    /// `123456` with as many digits behind a point that nobody writes as [`Decimals::scale`] says.
    pub(super) implied: bool,
    /// As a text and not as a number.
    pub(super) text: bool,
}

impl Decimals {
    /// The number that a text of the other side is.
    pub(super) fn read(&self, text: &str) -> Option<Decimal> {
        let mut plain = Cow::Borrowed(text.trim());
        let (point, group) = if self.comma { (',', '.') } else { ('.', ',') };
        if plain.contains(group) {
            plain = ungrouped(&plain, point, group).filter(|_| self.grouped)?.into();
        }
        if self.comma {
            plain = plain.replacen(',', ".", 1).into();
        }
        let mut decimal = Decimal::parse(&plain)?;
        if self.implied {
            if decimal.scale != 0 {
                return None;
            }
            decimal.scale = i32::try_from(self.scale?).ok()?;
        }
        self.scaled(decimal)
    }

    /// The same as its text, and without detour where the text is one of JSON's numbers that needs no more than zeros
    /// behind it.
    pub(super) fn text(&self, text: &str) -> Option<Text> {
        let plain =
            !self.is_foreign() && !text.starts_with("-0") && number_scan(text.as_bytes()) == text.len();
        let behind = text.bytes().rev().position(|sign| sign == b'.');
        let missing = self.scale.map_or(Some(0), |scale| (scale as usize).checked_sub(behind.unwrap_or(0)));
        match missing {
            Some(missing) if plain && !text.bytes().any(|sign| matches!(sign, b'e' | b'E')) => {
                let mut longer = TextBuilder::new();
                longer.push_str(text);
                if behind.is_none() && missing > 0 {
                    longer.push('.');
                }
                (0..missing).for_each(|_| longer.push('0'));
                Some(longer.finish())
            }
            _ => self.read(text).map(|decimal| decimal.to_string().into()),
        }
    }

    /// With the digits that are wanted.
    pub(super) fn scaled(&self, decimal: Decimal) -> Option<Decimal> {
        match self.scale {
            Some(scale) => decimal.with_scale(scale, self.rounding),
            None => Some(decimal),
        }
    }

    /// The text that the other side has for a number.
    pub(super) fn write(&self, decimal: Decimal) -> Option<String> {
        let decimal = self.scaled(decimal)?;
        let text = decimal.to_string();
        Some(match (self.implied, self.comma) {
            (true, _) => {
                let digits = text.replacen('.', "", 1);
                let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
                let digits = digits.trim_start_matches('0');
                format!("{sign}{}", if digits.is_empty() { "0" } else { digits })
            }
            (false, true) => text.replacen('.', ",", 1),
            (false, false) => text,
        })
    }

    /// Whether the other side's notation is not that of numbers.
    pub(super) fn is_foreign(&self) -> bool {
        self.comma || self.implied || self.grouped
    }
}

/// Without the signs between groups of three, if all of them stand where they belong.
fn ungrouped(text: &str, point: char, group: char) -> Option<String> {
    let (whole, fraction) =
        text.split_once(point).map_or((text, None), |(whole, after)| (whole, Some(after)));
    let mut groups = whole.strip_prefix(['+', '-']).unwrap_or(whole).split(group);
    let first = groups.next()?;
    let digits = |group: &str| group.bytes().all(|sign| sign.is_ascii_digit());
    let right = (1..=3).contains(&first.len())
        && digits(first)
        && groups.all(|group| group.len() == 3 && digits(group));
    if !right || fraction.is_some_and(|fraction| fraction.contains(group)) {
        return None;
    }
    let plain = whole.replace(group, "");
    Some(fraction.map_or(plain.clone(), |fraction| format!("{plain}{point}{fraction}")))
}

/// How many digits a currency has behind the point; none where it is no code of ISO 4217's form.
pub(super) fn minor_units(currency: &str) -> Option<u32> {
    if currency.len() != 3 || !currency.bytes().all(|sign| sign.is_ascii_uppercase()) {
        return None;
    }
    Some(match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    })
}
