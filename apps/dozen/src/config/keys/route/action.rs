//! What a route does with a request: where it leads, or what it answers.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};

pub(super) static DESTINATION: Section = Section {
    noun: "a destination",
    short: Short::Key("service"),
    keys: &[
        Key::new(
            "service",
            Kind::Destination,
            Required,
            "The service, and the path there if it differs from the request's: `orders` or `orders:/orders/{id}`.",
        ),
        Key::new("weight", Kind::Count(0, 1_000_000), Default("1"), "Its share, beside the others' weights."),
    ],
};

pub(super) static REWRITE: Section = Section {
    noun: "a rewrite",
    short: Short::None,
    keys: &[
        Key::new(
            "path-prefix",
            Kind::Text,
            Optional,
            "Stands in the place of all that the match has before its `{*rest}`.",
        ),
        Key::new("regex", Kind::Text, Optional, "A regular expression over the whole path."),
        Key::new(
            "with",
            Kind::Text,
            Optional,
            "The path to put in the place of one that `regex` matches; `{1}` and `{name}` are its groups.",
        ),
        Key::new("host", Kind::Text, Optional, "The `Host` that the service sees."),
    ],
};

pub(super) static REDIRECT: Section = Section {
    noun: "a redirect",
    short: Short::Key("to"),
    keys: &[
        Key::new(
            "to",
            Kind::Text,
            Required,
            "A URL, or a path that begins with `/`: `https://shop.example/{id}`. `https` is the same URL with that \
             scheme.",
        ),
        Key::new("status", Kind::Count(301, 308), Default("307"), "301, 302, 307 or 308."),
    ],
};

pub(super) static ANSWER: Section = Section {
    noun: "an answer",
    short: Short::None,
    keys: &[
        Key::new("status", Kind::Count(200, 599), Default("200"), "Its status."),
        Key::new(
            "body",
            Kind::Text,
            Optional,
            "Its body. Without one: a problem document from 400 on, else nothing. `{{` stands for a brace.",
        ),
        Key::new("content-type", Kind::Text, Default("text/plain; charset=utf-8"), "What its body is."),
    ],
};
