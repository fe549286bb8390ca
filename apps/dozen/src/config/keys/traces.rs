//! `traces`: where the steps of requests go.

use super::super::schema::Presence::{Default, Required};
use super::super::schema::{Key, Kind, Section, Short};

pub(super) static TRACES: Section = Section {
    noun: "the traces",
    short: Short::Key("to"),
    keys: &[
        Key::new(
            "to",
            Kind::Url,
            Required,
            "A collector that takes OTLP over HTTP, usually at port 4318; it is asked with `POST /v1/traces`.",
        ),
        Key::new(
            "sample-percent",
            Kind::Count(0, 100),
            Default("100"),
            "Of each hundred traces that begin here so many are kept. Of one that began elsewhere, whoever began it decides.",
        ),
    ],
};
