//! Numbers as the decimal text they are.

use std::borrow::Cow;
use std::fmt;

use super::Text;

/// The most digits of a number that is calculated with or compared; a longer one is only passed on.
const DIGITS_MAX: usize = 1000;

/// A number of JSON's grammar, kept as its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    /// What is written just so by `Display`; it needs no text of its own.
    Whole(i64),
    Text(Text),
}

impl Number {
    /// Reads a text of JSON's grammar: `-?digits[.digits][e[+-]digits]`, without leading zeros.
    pub fn parse(text: &str) -> Option<Self> {
        (scan(text.as_bytes()) == text.len()).then(|| Self::checked(text))
    }

    /// From a text that [`scan`] has found right.
    pub(crate) fn checked(text: impl AsRef<str> + Into<Text>) -> Self {
        match whole(text.as_ref().as_bytes()) {
            Some(whole) => Self(Repr::Whole(whole)),
            None => Self(Repr::Text(text.into())),
        }
    }

    /// The whole number, if it is written as one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Whole(whole) => Some(*whole),
            Repr::Text(_) => None,
        }
    }

    /// Its text.
    pub fn as_text(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Whole(whole) => itoa::Buffer::new().format(*whole).to_owned().into(),
            Repr::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Appends its text.
    pub(crate) fn put(&self, text: &mut String) {
        match &self.0 {
            Repr::Whole(whole) => text.push_str(itoa::Buffer::new().format(*whole)),
            Repr::Text(own) => text.push_str(own),
        }
    }

    /// Its digits, sign and scale; none where it has too many digits, or an exponent beyond a thousand.
    pub fn decimal(&self) -> Option<Decimal> {
        match &self.0 {
            Repr::Whole(whole) => Some(Decimal::from(*whole)),
            Repr::Text(text) => Decimal::parse(text),
        }
    }

    /// Whether both count the same: `1.0`, `1` and `10e-1` do.
    pub fn equals(&self, other: &Self) -> bool {
        self == other
            || match (self.decimal(), other.decimal()) {
                (Some(one), Some(other)) => one.normal() == other.normal(),
                _ => false,
            }
    }

    pub(crate) fn approximate(&self) -> serde_json::Value {
        match &self.0 {
            Repr::Whole(whole) => (*whole).into(),
            Repr::Text(text) => match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(whole), _) if &**text != "-0" => whole.into(),
                (_, Ok(whole)) => whole.into(),
                _ => text.parse::<f64>().ok().filter(|number| number.is_finite()).into(),
            },
        }
    }
}

/// How many bytes at the start are a number of JSON; 0 when there is none.
pub(crate) fn scan(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = match text.get(start) {
        Some(b'0') => start + 1,
        Some(b'1'..=b'9') => start + digits(start),
        _ => return 0,
    };
    if text.get(end) == Some(&b'.') {
        match digits(end + 1) {
            0 => return 0,
            fraction => end += 1 + fraction,
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        match digits(end + 1 + sign) {
            0 => return 0,
            exponent => end += 1 + sign + exponent,
        }
    }
    end
}

/// The whole number that a text of JSON's grammar is, if it is the one way to write it.
fn whole(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 || (negative && digits == b"0") {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    Some(if negative { -number } else { number })
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        // 19 digits are text when they are read, and so they are here: one number has one form.
        match whole.unsigned_abs() < 10_u64.pow(18) {
            true => Self(Repr::Whole(whole)),
            false => Self(Repr::Text(whole.to_string().into())),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Whole(whole) => whole.fmt(f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number taken apart: `-12.30` is negative, with the digits `1230` and the scale 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub(crate) negative: bool,
    /// Without zeros in front; empty for zero.
    pub(crate) digits: String,
    /// How many of the digits stand behind the point; negative for zeros that follow them.
    pub(crate) scale: i32,
}

impl Decimal {
    /// Reads digits with a sign, a point and an exponent. Unlike JSON it takes `+1`, `007`, `.5` and `5.`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, unsigned) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (before, after) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let count = before.len() + after.len();
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let bounded = count <= DIGITS_MAX && exponent.unsigned_abs() as usize <= DIGITS_MAX;
        if count == 0 || !plain(before) || !plain(after) || !bounded {
            return None;
        }
        let scale = i32::try_from(after.len()).ok()? - exponent;
        let digits = [before, after].concat().trim_start_matches('0').to_owned();
        Some(Self { negative, digits, scale })
    }

    /// Without a fraction that is nothing but zeros, and zero in one form.
    pub(crate) fn normal(mut self) -> Self {
        if self.digits.is_empty() {
            return Self { negative: false, digits: String::new(), scale: 0 };
        }
        let kept = self.digits.trim_end_matches('0').len();
        self.scale -= i32::try_from(self.digits.len() - kept).unwrap_or(0);
        self.digits.truncate(kept);
        self
    }

    /// With this many digits behind the point. What would be lost is rounded, or, without a rounding, refused.
    pub(crate) fn with_scale(mut self, scale: u32, rounding: Option<Rounding>) -> Option<Self> {
        let scale = i32::try_from(scale).ok()?;
        let missing = scale - self.scale;
        if missing >= 0 {
            if !self.digits.is_empty() {
                self.digits.extend(std::iter::repeat_n('0', usize::try_from(missing).ok()?));
            }
            self.scale = scale;
            return Some(self);
        }
        let cut = usize::try_from(-missing).ok()?;
        let at = self.digits.len().saturating_sub(cut);
        let lost = self.digits.split_off(at);
        self.scale = scale;
        if lost.bytes().all(|digit| digit == b'0') {
            return Some(self);
        }
        // Digits that were not even there count as zeros before what is lost.
        let half = match lost.len() < cut {
            true => std::cmp::Ordering::Less,
            false => lost.as_bytes()[0].cmp(&b'5').then_with(|| {
                let rest = lost.as_bytes()[1..].iter().any(|digit| *digit != b'0');
                if rest { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Equal }
            }),
        };
        let odd = self.digits.as_bytes().last().is_some_and(|digit| digit % 2 == 1);
        let up = match (half, rounding?) {
            (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, Rounding::HalfUp) => true,
            (std::cmp::Ordering::Equal, Rounding::HalfEven) => odd,
            (std::cmp::Ordering::Less, _) => false,
        };
        if up {
            self.increment();
        }
        Some(self)
    }

    fn increment(&mut self) {
        let kept = self.digits.trim_end_matches('9').len();
        let nines = self.digits.len() - kept;
        self.digits.truncate(kept);
        let last = self.digits.pop().unwrap_or('0');
        self.digits.push(char::from(last as u8 + 1));
        self.digits.extend(std::iter::repeat_n('0', nines));
    }
}

/// What happens to digits that there is no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// A half goes to the even neighbour.
    HalfEven,
    /// A half goes away from zero.
    HalfUp,
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        let digits = whole.unsigned_abs().to_string().trim_start_matches('0').to_owned();
        Self { negative: whole < 0, digits, scale: 0 }
    }
}

impl From<&Decimal> for Number {
    fn from(decimal: &Decimal) -> Self {
        Number::checked(decimal.to_string())
    }
}

impl fmt::Display for Decimal {
    /// Without an exponent, with as many digits behind the point as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative && !self.digits.is_empty() {
            f.write_str("-")?;
        }
        let after = usize::try_from(self.scale).unwrap_or(0);
        let zeros = match self.digits.is_empty() {
            true => 0,
            false => usize::try_from(-self.scale.min(0)).unwrap_or(0),
        };
        let digits = format!("{:0>width$}{:0<zeros$}", self.digits, "", width = after + 1);
        let (before, behind) = digits.split_at(digits.len() - after);
        match behind {
            "" => f.write_str(before),
            _ => write!(f, "{before}.{behind}"),
        }
    }
}
