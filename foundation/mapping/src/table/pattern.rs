//! Patterns of letters: `dd.MM.yyyy HH:mm`.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::Offset;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    ShortYear,
    Month { two: bool },
    MonthName,
    Day { two: bool },
    Hour { two: bool, half: bool },
    Minute,
    Second,
    Fraction(usize),
    Half,
    Offset { colon: bool },
    Literal(String),
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Compiles a pattern, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let same = rest.chars().take_while(|other| *other == sign).count();
        let length = match sign {
            '\'' => {
                let (literal, _) = rest[1..].split_once('\'').ok_or("a ' in the pattern is not closed")?;
                parts.push(Part::Literal(if literal.is_empty() { "'".into() } else { literal.into() }));
                literal.len() + 2
            }
            sign if sign.is_ascii_alphabetic() => {
                parts.push(letters(sign, same)?);
                same
            }
            sign => {
                parts.push(Part::Literal(sign.into()));
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(parts)
}

fn letters(sign: char, count: usize) -> Result<Part, String> {
    Ok(match (sign, count) {
        ('y' | 'u', 4) => Part::Year,
        ('y', 2) => Part::ShortYear,
        ('M', 1 | 2) => Part::Month { two: count == 2 },
        ('M', 3) => Part::MonthName,
        ('d', 1 | 2) => Part::Day { two: count == 2 },
        ('H', 1 | 2) => Part::Hour { two: count == 2, half: false },
        ('h', 1 | 2) => Part::Hour { two: count == 2, half: true },
        ('m', 2) => Part::Minute,
        ('s', 2) => Part::Second,
        ('S', 1..=9) => Part::Fraction(count),
        ('a', 1) => Part::Half,
        ('X' | 'x', 3) => Part::Offset { colon: true },
        ('X' | 'x', 2) | ('Z', 1) => Part::Offset { colon: false },
        _ => {
            let found: String = std::iter::repeat_n(sign, count).collect();
            return Err(format!(
                "`{found}` means nothing in a pattern; there are yyyy yy MM M MMM dd d HH H hh h mm ss S a XXX XX Z, \
                 `iso`, `epoch` and `epoch-ms`, and literal text stands in single quotes"
            ));
        }
    })
}

/// Reads a text by a pattern, all of it.
pub(super) fn read(parts: &[Part], text: &str) -> Option<(DateTime, Option<Offset>)> {
    let (mut year, mut month, mut day) = (1970_i16, 1_i8, 1_i8);
    let (mut hour, mut minute, mut second, mut nanos) = (0_i8, 0_i8, 0_i8, 0_i32);
    let (mut afternoon, mut halves) = (false, false);
    let mut offset = None;
    let mut rest = text;
    for part in parts {
        match part {
            Part::Year => year = i16::try_from(digits(&mut rest, 4, 4)?).ok()?,
            Part::ShortYear => {
                let short = i16::try_from(digits(&mut rest, 2, 2)?).ok()?;
                year = short + if short >= 69 { 1900 } else { 2000 };
            }
            Part::Month { two } => month = small(&mut rest, *two)?,
            Part::MonthName => {
                let name = rest.get(..3)?;
                let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
                month = i8::try_from(at + 1).ok()?;
                rest = &rest[3..];
            }
            Part::Day { two } => day = small(&mut rest, *two)?,
            Part::Hour { two, half } => {
                hour = small(&mut rest, *two)?;
                halves |= *half;
            }
            Part::Minute => minute = small(&mut rest, true)?,
            Part::Second => second = small(&mut rest, true)?,
            Part::Fraction(count) => {
                let fraction = digits(&mut rest, *count, *count)?;
                let missing = u32::try_from(9 - count).ok()?;
                nanos = i32::try_from(fraction.checked_mul(10_i64.pow(missing))?).ok()?;
            }
            Part::Half => {
                let half = rest.get(..2)?;
                afternoon = half.eq_ignore_ascii_case("pm");
                if !afternoon && !half.eq_ignore_ascii_case("am") {
                    return None;
                }
                rest = &rest[2..];
            }
            Part::Offset { colon } => offset = Some(read_offset(&mut rest, *colon)?),
            Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
        }
    }
    if !rest.is_empty() {
        return None;
    }
    if halves {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    Some((DateTime::new(year, month, day, hour, minute, second, nanos).ok()?, offset))
}

fn read_offset(rest: &mut &str, colon: bool) -> Option<Offset> {
    if let Some(after) = rest.strip_prefix('Z') {
        *rest = after;
        return Some(Offset::UTC);
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let hours = digits(rest, 2, 2)?;
    if colon {
        *rest = rest.strip_prefix(':')?;
    }
    let minutes = digits(rest, 2, 2).filter(|minutes| *minutes < 60)?;
    Offset::from_seconds(i32::try_from(sign * (hours * 3600 + minutes * 60)).ok()?).ok()
}

fn small(rest: &mut &str, two: bool) -> Option<i8> {
    i8::try_from(digits(rest, if two { 2 } else { 1 }, 2)?).ok()
}

/// A number of so many digits.
fn digits(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let (number, after) = rest.split_at(count);
    *rest = after;
    // At most nine digits, which always fit.
    Some(number.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Writes a moment by a pattern; none where the pattern has no place for what it has.
pub(super) fn write(parts: &[Part], moment: DateTime, offset: Offset) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        let _ = match part {
            Part::Year => write!(text, "{:04}", moment.year()),
            Part::ShortYear if (1969..2069).contains(&moment.year()) => {
                write!(text, "{:02}", moment.year() % 100)
            }
            Part::ShortYear => return None,
            Part::Month { two } => padded(&mut text, moment.month(), *two),
            Part::MonthName => {
                write!(text, "{}", MONTHS[usize::try_from(moment.month() - 1).unwrap_or(0) % 12])
            }
            Part::Day { two } => padded(&mut text, moment.day(), *two),
            Part::Hour { two, half: false } => padded(&mut text, moment.hour(), *two),
            Part::Hour { two, half: true } => padded(&mut text, (moment.hour() + 11) % 12 + 1, *two),
            Part::Minute => padded(&mut text, moment.minute(), true),
            Part::Second => padded(&mut text, moment.second(), true),
            Part::Fraction(count) => {
                let nanos = format!("{:09}", moment.subsec_nanosecond());
                write!(text, "{}", &nanos[..*count])
            }
            Part::Half => write!(text, "{}", if moment.hour() < 12 { "AM" } else { "PM" }),
            Part::Offset { colon } => {
                let seconds = offset.seconds();
                let minutes = seconds.abs() / 60;
                let colon = if *colon { ":" } else { "" };
                let sign = if seconds < 0 { '-' } else { '+' };
                write!(text, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
            }
            Part::Literal(literal) => write!(text, "{literal}"),
        };
    }
    Some(text)
}

fn padded(text: &mut String, number: i8, two: bool) -> std::fmt::Result {
    match two {
        true => write!(text, "{number:02}"),
        false => write!(text, "{number}"),
    }
}
