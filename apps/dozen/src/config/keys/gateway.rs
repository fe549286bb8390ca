//! `gateway`: the door.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;

const METHOD: Kind = Kind::Method;

pub(super) static GATEWAY: Section = Section {
    noun: "the gateway",
    short: Short::None,
    keys: &[
        Key::new("listen", Kind::Address, Default("127.0.0.1:8080"), "Where requests come in."),
        Key::new(
            "routes",
            Kind::Routes(&Kind::Section(&ROUTE)),
            Default("[]"),
            "Which request goes where. `\"GET /orders/{id}\": \"orders:/orders/{id}\"` is short for one route. The \
             most specific match wins: a literal segment before `{id}`, and that before `{*rest}`.",
        ),
    ],
};

static ROUTE: Section = Section {
    noun: "a route",
    short: Short::None,
    keys: &[
        Key::new(
            "match",
            Kind::Section(&MATCH),
            Required,
            "Which requests it takes. `GET /orders/{id}` is short for its method and path.",
        ),
        Key::new(
            "to",
            Kind::Target,
            Required,
            "The service, and the path there if it differs from the request's: `orders` or `orders:/orders/{id}`.",
        ),
        Key::new("timeout", Kind::Duration, Optional, "How long it may take. Without one: the service's."),
        Key::new(
            "body-max",
            Kind::Size,
            Optional,
            "The longest request body. Without one: `limits.body-max`.",
        ),
    ],
};

static MATCH: Section = Section {
    noun: "a match",
    short: Short::RequestLine,
    keys: &[
        Key::new(
            "path",
            Kind::Template,
            Required,
            "A path; `{id}` takes one segment, `{*rest}` at the end takes all that follow.",
        ),
        Key::new("method", Kind::Many(&METHOD), Optional, "These methods. Without one: every method."),
        Key::new("host", Kind::Host, Optional, "This host, or `*.example.com`. Without one: every host."),
        Key::new(
            "headers",
            Kind::Named { noun: "header", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Headers that must have this value; `*` is any value.",
        ),
        Key::new(
            "query",
            Kind::Named { noun: "parameter", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Query parameters that must have this value; `*` is any value.",
        ),
    ],
};
