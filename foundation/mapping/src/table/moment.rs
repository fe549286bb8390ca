//! Dates and times in the notations of others.
//!
//! A pattern is letters as Java, .NET and Unicode have them: `dd.MM.yyyy HH:mm`. It is read strictly: `MM` is two
//! digits, `M` one or two. `yy` is 1969 to 2068. Zones come from the database that is compiled in, so that every machine
//! gives the same answer. A local time that a change of the clocks skips or repeats is an error unless the pattern says
//! which of the two is meant.

use jiff::civil::{Date, Time};
use jiff::tz::{Disambiguation, Offset, TimeZone, TimeZoneDatabase};

use super::pattern::{self, Part};
use crate::value::Value;

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

/// `2026-01-31`.
pub(super) fn iso(date: Date) -> Value {
    let Ok(year @ 0..=9999) = u16::try_from(date.year()) else { return Value::text(date.to_string()) };
    let (month, day) = (u16::from(date.month().unsigned_abs()), u16::from(date.day().unsigned_abs()));
    let places = [year / 1000, year / 100, year / 10, year, 0, month / 10, month, 0, day / 10, day];
    let mut text = places.map(|place| b'0' + u8::try_from(place % 10).unwrap_or(0));
    (text[4], text[7]) = (b'-', b'-');
    Value::text(std::str::from_utf8(&text).unwrap_or_default())
}

impl Notation {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "iso" => return Ok(Self::Iso),
            "epoch" => return Ok(Self::Epoch { per_second: 1 }),
            "epoch-ms" => return Ok(Self::Epoch { per_second: 1000 }),
            _ => {}
        }
        Ok(Self::Pattern(pattern::parse(text)?))
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

impl Moment {
    /// The day of a text.
    pub(super) fn date(&self, text: &str) -> Option<Date> {
        match &self.notation {
            Notation::Iso => text.parse().ok().filter(|_| text.len() == 10),
            Notation::Pattern(parts) if !self.notation.is_absolute() => {
                Some(pattern::read(parts, text)?.0.date())
            }
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
            Notation::Pattern(parts) => match (pattern::read(parts, text)?, &self.zone) {
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
                pattern::write(parts, date.to_datetime(Time::midnight()), Offset::UTC)
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
                pattern::write(parts, zoned.datetime(), zoned.offset())
            }
        }
    }
}
