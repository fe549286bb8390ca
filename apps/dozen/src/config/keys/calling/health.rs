//! `probe`, `eject` and `circuit`: when an instance, or the whole service, is left alone.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::MANY;

pub(super) static PROBE: Section = Section {
    noun: "a probe",
    short: Short::Key("path"),
    keys: &[
        Key::new("path", Kind::Path, Required, "What is asked with `GET`."),
        Key::new("interval", Kind::Duration, Default("5s"), "How often, for each instance."),
        Key::new(
            "jitter-percent",
            Kind::Count(0, 100),
            Default("20"),
            "By how much an interval may be shorter or longer, so that not all are asked at once.",
        ),
        Key::new("timeout", Kind::Duration, Default("2s"), "How long an answer may take."),
        Key::new(
            "healthy-after",
            Kind::Count(1, 1000),
            Default("2"),
            "Good answers in a row after which one that was ill is well.",
        ),
        Key::new(
            "unhealthy-after",
            Kind::Count(1, 1000),
            Default("3"),
            "Bad ones in a row after which it is ill.",
        ),
        Key::new(
            "expect",
            Kind::Many(&Kind::Count(100, 599)),
            Optional,
            "The statuses that are good. Without them: 200 to 299.",
        ),
    ],
};

pub(super) static EJECT: Section = Section {
    noun: "ejection",
    short: Short::None,
    keys: &[
        Key::new("failures", MANY, Default("5"), "Failures in a row that eject."),
        Key::new(
            "failure-percent",
            Kind::Count(0, 100),
            Default("50"),
            "Failures for each hundred requests that eject as well; 0 looks at those in a row only.",
        ),
        Key::new("requests-min", MANY, Default("20"), "Fewer requests than these make no ratio."),
        Key::new("window", Kind::Duration, Default("10s"), "Over how long the ratio is taken."),
        Key::new(
            "base",
            Kind::Duration,
            Default("10s"),
            "How long the first time; the n-th lasts n times as long.",
        ),
        Key::new("cap", Kind::Duration, Default("5m"), "No ejection is longer."),
    ],
};

/// Of a service, and of a provider.
pub(in crate::config::keys) static CIRCUIT: Section = Section {
    noun: "a circuit",
    short: Short::None,
    keys: &[
        Key::new(
            "failure-percent",
            Kind::Count(1, 100),
            Default("50"),
            "Failures for each hundred requests that open it.",
        ),
        Key::new("requests-min", MANY, Default("20"), "Fewer requests than these decide nothing."),
        Key::new("window", Kind::Duration, Default("10s"), "Over how long they are counted."),
        Key::new("open", Kind::Duration, Default("5s"), "How long it then is left alone."),
        Key::new(
            "trials",
            Kind::Count(1, 65_535),
            Default("3"),
            "Requests that are let through after that, and all have to succeed.",
        ),
    ],
};
