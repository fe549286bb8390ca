//! What a route changes in heads, and what it says of itself in answers.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{METHOD, TEXT};

pub(super) static HEADERS: Section = Section {
    noun: "headers",
    short: Short::None,
    keys: &[
        Key::new("request", Kind::Section(&CHANGE), Optional, "On the way to the service."),
        Key::new("response", Kind::Section(&CHANGE), Optional, "On the way to the client."),
    ],
};

static CHANGE: Section = Section {
    noun: "a change of headers",
    short: Short::None,
    keys: &[
        Key::new(
            "set",
            Kind::Named { noun: "header", name: &TEXT, of: &TEXT },
            Optional,
            "Headers that have this value and no other; `{id}`, `{consumer}`, `{query.x}` and the like are filled in.",
        ),
        Key::new(
            "add",
            Kind::Named { noun: "header", name: &TEXT, of: &TEXT },
            Optional,
            "Headers that get this value beside those that they have.",
        ),
        Key::new("remove", Kind::Many(&TEXT), Optional, "Headers that are taken away."),
    ],
};

pub(super) static CORS: Section = Section {
    noun: "a CORS policy",
    short: Short::None,
    keys: &[
        Key::new(
            "origins",
            Kind::Many(&TEXT),
            Required,
            "`https://shop.example`, `https://*.shop.example`, or `*` for every origin.",
        ),
        Key::new(
            "methods",
            Kind::Many(&METHOD),
            Optional,
            "Methods that may be used. Without them: the route's.",
        ),
        Key::new(
            "headers",
            Kind::Many(&TEXT),
            Optional,
            "Request headers that may be sent beside those that always may; `*` is every header.",
        ),
        Key::new("expose", Kind::Many(&TEXT), Optional, "Response headers that a page may read."),
        Key::new(
            "credentials",
            Kind::Flag,
            Default("false"),
            "Whether cookies may come along. Not together with the origin `*`.",
        ),
        Key::new("max-age", Kind::Duration, Default("10m"), "How long a browser may remember a preflight."),
    ],
};

pub(super) static DEPRECATED: Section = Section {
    noun: "a deprecation",
    short: Short::None,
    keys: &[
        Key::new(
            "since",
            Kind::Text,
            Optional,
            "Since when it should not be used any more: `2027-01-31T00:00:00Z`; the header `deprecation`.",
        ),
        Key::new("sunset", Kind::Text, Optional, "When it goes away; the header `sunset`."),
        Key::new("link", Kind::Text, Optional, "Where the reader finds what to use instead."),
        Key::new("gone", Kind::Flag, Default("false"), "Whether requests from the sunset on get 410."),
    ],
};
