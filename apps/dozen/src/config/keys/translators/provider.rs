//! `providers.NAME`: where a system of somebody else is, and what keeps it from taking its callers with it.

use super::super::super::schema::Presence::{Default, Optional};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::super::calling::CIRCUIT;
use super::{NAME, TEXT};

pub(in super::super) static PROVIDER: Section = Section {
    noun: "a provider",
    short: Short::None,
    keys: &[
        Key::new("service", NAME, Optional, "The service that it is reached as. Without one: its own name."),
        Key::new(
            "database",
            Kind::Store,
            Optional,
            "The database that it is, in the place of a service: a file of SQLite or a PostgreSQL database. It is asked with \
             `sql`, and nothing is made in it.",
        ),
        Key::new(
            "writes",
            Kind::Flag,
            Default("false"),
            "Whether its statements may change something; each is then a transaction of its own. They are repeated or asked \
             elsewhere unless `repeatable: false` says otherwise.",
        )
        .with("database"),
        Key::new("rows-max", Kind::Count(1, 1_000_000), Default("1000"), "Rows of an answer; one of more is refused.")
            .with("database"),
        Key::new(
            "charset",
            TEXT,
            Optional,
            "What the texts of a file of SQLite are written in: `windows-1252`. Without one UTF-8; what is none is an error.",
        )
        .with("database"),
        Key::new(
            "queue",
            NAME,
            Optional,
            "The queue of the file that it takes questions from, in the place of a service. The handler's reply is its answer.",
        ),
        Key::new("timeout", Kind::Duration, Default("5s"), "How long it may take for one answer."),
        Key::new("in-flight-max", Kind::Count(1, 1_000_000), Default("32"), "Requests to it at one time."),
        Key::new(
            "pending-max",
            Kind::Count(0, 1_000_000),
            Default("64"),
            "Requests that may wait for another to end; more are refused at once.",
        ),
        Key::new(
            "circuit",
            Kind::Section(&CIRCUIT),
            Default("{}"),
            "When it is left alone because it keeps failing, and how it comes back.",
        ),
        Key::new("answer-max", Kind::Size, Default("1MiB"), "Bytes of an answer; a larger one is refused."),
        Key::new(
            "mock",
            Kind::Flag,
            Default("false"),
            "Whether the recorded examples answer in its place, in all translators. Nothing is sent to it then.",
        ),
    ],
};
