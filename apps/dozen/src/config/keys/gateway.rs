//! `gateway`: the door.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::access::{CONSUMERS, IDENTITY, PLANS, SHED};
use super::listener::{
    BODY_RATE_MIN, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, HEAD_MAX, HEADER_TIMEOUT, IDLE_TIMEOUT,
    STALL_TIMEOUT, TLS,
};
use super::route::ROUTE;

pub(super) static GATEWAY: Section = Section {
    noun: "the gateway",
    short: Short::None,
    keys: &[
        Key::new("listen", Kind::Address, Default("127.0.0.1:8080"), "Where requests come in."),
        TLS,
        CONNECTIONS_MAX,
        CONNECTIONS_PER_ADDRESS,
        HEAD_MAX,
        HEADER_TIMEOUT,
        IDLE_TIMEOUT,
        STALL_TIMEOUT,
        BODY_RATE_MIN,
        Key::new(
            "trusted",
            Kind::Many(&Kind::Network),
            Optional,
            "Addresses or networks of proxies in front of it, whose `x-forwarded-…` and `dozen-split` headers are believed.",
        ),
        Key::new(
            "access-log",
            Kind::Section(&ACCESS_LOG),
            Optional,
            "A line of JSON for each request. `stdout` or a path is short for `to`.",
        ),
        IDENTITY,
        CONSUMERS,
        PLANS,
        SHED,
        Key::new(
            "routes",
            Kind::Routes(&Kind::Section(&ROUTE)),
            Default("[]"),
            "Which request goes where. `\"GET /orders/{id}\": \"orders:/orders/{id}\"` is short for one route. The \
             most specific match wins: a literal segment before an expression, that before `{id}`, and that before \
             `{*rest}`.",
        ),
    ],
};

static ACCESS_LOG: Section = Section {
    noun: "the access log",
    short: Short::Key("to"),
    keys: &[
        Key::new(
            "to",
            Kind::Text,
            Required,
            "`stdout`, or a file that is appended to; a relative path starts from the folder of the file. It is \
             opened anew with every reload, so that it can be moved away.",
        ),
        Key::new(
            "query",
            Kind::Choice(&["hidden", "names", "values"]),
            Default("hidden"),
            "What is written of a query. Values of parameters whose names sound like secrets never are.",
        ),
    ],
};
