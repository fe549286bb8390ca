//! Dates and times in the notations of others.
//!
//! A pattern is letters as Java, .NET and Unicode have them: `dd.MM.yyyy HH:mm`. It is read strictly: `MM` is two
//! digits, `M` one or two. `yy` is 1969 to 2068. Zones come from the database that is compiled in, so that every machine
//! gives the same answer. A local time that a change of the clocks skips or repeats is an error unless the pattern says
//! which of the two is meant.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Disambiguation, Offset, TimeZone, TimeZoneDatabase};

/// How a moment is written.
#[derive(Clone, Debug)]
pub(super) enum Notation {
    /// `2026-01-31`, or RFC 3339 with an offset.
    Iso,
    /// Seconds since 1970, or parts of them.
    Epoch {
        /// How many of them are a second.
        per_second: i64,
    },
    Pattern(Vec<Part>),
}

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

/// A notation with the zone that its times are in.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) notation: Notation,
    pub(super) zone: Option<TimeZone>,
    pub(super) repeated: Disambiguation,
}

/// The zone of an IANA name.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl Notation {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "iso" => return Ok(Self::Iso),
            "epoch" => return Ok(Self::Epoch { per_second: 1 }),
            "epoch-ms" => return Ok(Self::Epoch { per_second: 1000 }),
            _ => {}
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let same = rest.chars().take_while(|other| *other == sign).count();
            let length = match sign {
                '\'' => {
                    let (literal, _) =
                        rest[1..].split_once('\'').ok_or("a ' in the pattern is not closed")?;
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
        Ok(Self::Pattern(parts))
    }

    fn has(&self, wanted: impl Fn(&Part) -> bool) -> bool {
        matches!(self, Self::Pattern(parts) if parts.iter().any(wanted))
    }

    /// Whether it says the moment by itself, without a zone.
    pub(super) fn is_absolute(&self) -> bool {
        match self {
            Self::Iso | Self::Epoch { .. } => true,
            Self::Pattern(_) => self.has(|part| matches!(part, Part::Offset { .. })),
        }
    }

    pub(super) fn has_date(&self) -> bool {
        let any = |wanted: &[fn(&Part) -> bool]| wanted.iter().all(|wanted| self.has(wanted));
        !matches!(self, Self::Pattern(_))
            || any(&[
                |part| matches!(part, Part::Year | Part::ShortYear),
                |part| matches!(part, Part::Month { .. } | Part::MonthName),
                |part| matches!(part, Part::Day { .. }),
            ])
    }

    /// Whether it has an hour that is one of 24.
    pub(super) fn has_time(&self) -> bool {
        !matches!(self, Self::Pattern(_))
            || self.has(|part| matches!(part, Part::Hour { half: false, .. }))
            || (self.has(|part| matches!(part, Part::Hour { half: true, .. }))
                && self.has(|part| *part == Part::Half))
    }
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

impl Moment {
    /// The day of a text.
    pub(super) fn date(&self, text: &str) -> Option<Date> {
        match &self.notation {
            Notation::Iso => text.parse().ok().filter(|_| text.len() == 10),
            Notation::Pattern(parts) if !self.notation.is_absolute() => Some(read(parts, text)?.0.date()),
            _ => Some(self.timestamp(text)?.to_zoned(self.zone.clone()?).date()),
        }
    }

    /// The moment of a text.
    pub(super) fn timestamp(&self, text: &str) -> Option<jiff::Timestamp> {
        match &self.notation {
            Notation::Iso => text.parse().ok(),
            Notation::Epoch { per_second } => {
                let nanos_each = 1_000_000_000 / per_second;
                let digits = nanos_each.ilog10();
                let decimal = crate::value::Decimal::parse(text)?.with_scale(digits, None)?;
                jiff::Timestamp::from_nanosecond(decimal.to_string().replacen('.', "", 1).parse().ok()?).ok()
            }
            Notation::Pattern(parts) => match (read(parts, text)?, &self.zone) {
                ((moment, Some(offset)), _) => offset.to_timestamp(moment).ok(),
                ((moment, None), Some(zone)) => zone
                    .to_ambiguous_zoned(moment)
                    .disambiguate(self.repeated)
                    .ok()
                    .map(|zoned| zoned.timestamp()),
                ((_, None), None) => None,
            },
        }
    }

    /// The text of a day; none where it needs a time.
    pub(super) fn write_date(&self, date: Date) -> Option<String> {
        match &self.notation {
            Notation::Iso => Some(date.to_string()),
            Notation::Pattern(parts) if !self.notation.is_absolute() => {
                write(parts, date.to_datetime(Time::midnight()), Offset::UTC)
            }
            _ => None,
        }
    }

    /// The text of a moment.
    pub(super) fn write_timestamp(&self, moment: jiff::Timestamp) -> Option<String> {
        match &self.notation {
            Notation::Iso => Some(moment.to_string()),
            Notation::Epoch { per_second } => {
                let nanos_each = i128::from(1_000_000_000 / per_second);
                let nanos = moment.as_nanosecond();
                (nanos % nanos_each == 0).then(|| (nanos / nanos_each).to_string())
            }
            Notation::Pattern(parts) => {
                let zoned = moment.to_zoned(self.zone.clone().unwrap_or(TimeZone::UTC));
                write(parts, zoned.datetime(), zoned.offset())
            }
        }
    }
}

/// Reads a text by a pattern, all of it.
fn read(parts: &[Part], text: &str) -> Option<(DateTime, Option<Offset>)> {
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
    number.parse().ok()
}

/// Writes a moment by a pattern; none where the pattern has no place for what it has.
fn write(parts: &[Part], moment: DateTime, offset: Offset) -> Option<String> {
    use std::fmt::Write as _;
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
    use std::fmt::Write as _;
    match two {
        true => write!(text, "{number:02}"),
        false => write!(text, "{number}"),
    }
}
