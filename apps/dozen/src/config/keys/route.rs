//! A route of the gateway.
//!
//! The keys are those of [`dozen_gateway::RouteOptions`], by the same names: the checked tree becomes one through serde.

mod action;
mod headers;

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;
use super::access::{AUTH, CLIENTS, IN_FLIGHT, LIMIT_KEY, PRIORITY_KEY};
use super::shape::{CACHE, COMPRESS, OPENAPI, REQUEST, RESPONSE, VALIDATE};
use action::{ANSWER, DESTINATION, REDIRECT, REWRITE};
use headers::{CORS, DEPRECATED, HEADERS};

const METHOD: Kind = Kind::Method;
const DESTINATIONS: Kind = Kind::Section(&DESTINATION);

pub(super) static ROUTE: Section = Section {
    noun: "a route",
    short: Short::None,
    keys: &[
        Key::new(
            "name",
            Kind::Text,
            Optional,
            "What it is called in logs, metrics and explanations. Without one: its method, host, path and conditions.",
        ),
        Key::new(
            "match",
            Kind::Section(&MATCH),
            Required,
            "Which requests it takes. `GET /orders/{id}` is short for its method and path.",
        ),
        Key::new(
            "to",
            Kind::Many(&DESTINATIONS),
            Optional,
            "Where it leads: `orders`, or `orders:/v2/{id}?x={query.y}` with another path; or several services with \
             weights.",
        ),
        Key::new(
            "feature",
            Kind::Name,
            Optional,
            "The feature that says for each request which service it goes to, in the place of `to`.",
        ),
        Key::new(
            "sticky",
            Kind::Text,
            Optional,
            "Whose requests stay with one of several services: `cookie(user)`, `header(x-user)`, `claim(sub)`, \
             `consumer` or `address`. Without one each request is drawn by lot. `balance: consistent-hash` goes by it, too.",
        ),
        Key::new(
            "split",
            Kind::Name,
            Optional,
            "Routes of one split choose the same service for the same key. Without one: the route's name.",
        ),
        Key::new(
            "rewrite",
            Kind::Section(&REWRITE),
            Optional,
            "How the request is changed on its way, with `feature`, or where `to` names no path.",
        ),
        Key::new(
            "redirect",
            Kind::Section(&REDIRECT),
            Optional,
            "Sends the client elsewhere, in the place of `to`. A URL, or `https`, is short for its `to`.",
        ),
        Key::new("answer", Kind::Section(&ANSWER), Optional, "Answers by itself, in the place of `to`."),
        Key::new(
            "compose",
            Kind::Data,
            Optional,
            "Answers from what several services say, in the place of `to`: calls by name, such as `order: { get: \
             \"orders:/orders/{id}\" }`, and beside them `reply` or `map`, `deadline`, `max`, `pass`, `status` and \
             `errors`. A call has one of `get`, `post`, `put`, `patch` and `delete`, and may have `body`, `headers`, \
             `need`, `on-error`, `default`, `timeout`, `max`, `status` and `pass-back`.",
        ),
        Key::new(
            "headers",
            Kind::Section(&HEADERS),
            Optional,
            "Headers that are changed. A header whose value refers to something that the request does not have is \
             left out.",
        ),
        REQUEST,
        RESPONSE,
        VALIDATE,
        OPENAPI,
        COMPRESS,
        CACHE,
        Key::new(
            "cors",
            Kind::Section(&CORS),
            Optional,
            "Which pages of other origins may use it from a browser. What the service says of that is dropped.",
        ),
        Key::new("deprecated", Kind::Section(&DEPRECATED), Optional, "Tells clients that it will go away."),
        CLIENTS,
        AUTH,
        LIMIT_KEY,
        IN_FLIGHT,
        PRIORITY_KEY,
        Key::new("timeout", Kind::Duration, Optional, "How long it may take. Without one: the service's."),
        Key::new(
            "total",
            Kind::Duration,
            Optional,
            "How long all of it may take, the bodies included. Without one a stream may go on for ever.",
        ),
        Key::new(
            "websocket",
            Kind::Duration,
            Optional,
            "That WebSockets may be opened over HTTP/1.1, and for how long one may be silent. Without one: none may.",
        ),
        Key::new(
            "body-max",
            Kind::Size,
            Optional,
            "The longest request body. Without one: `limits.body-max`.",
        ),
        Key::new(
            "stream-grace",
            Kind::Duration,
            Optional,
            "How long streams may go on when a reload leaves them no route. Without one: 30s.",
        ),
    ],
};

pub(super) static MATCH: Section = Section {
    noun: "a match",
    short: Short::RequestLine,
    keys: &[
        Key::new(
            "path",
            Kind::Template,
            Optional,
            "A path; `{id}` takes one segment, `{*rest}` or `*` at the end takes all that follow. Either this or \
             `regex` is needed.",
        ),
        Key::new(
            "regex",
            Kind::Text,
            Optional,
            "A regular expression, without look-around and back-references, that matches the whole path. Named \
             groups, `(?<id>…)`, are used like `{id}`.",
        ),
        Key::new("method", Kind::Many(&METHOD), Optional, "These methods. Without one: every method."),
        Key::new("host", Kind::Host, Optional, "This host, or `*.example.com`. Without one: every host."),
        Key::new(
            "headers",
            Kind::Named { noun: "header", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Headers that must have this value; `*` is any value, and `~` begins a regular expression.",
        ),
        Key::new(
            "query",
            Kind::Named { noun: "parameter", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Query parameters that must have this value, likewise.",
        ),
        Key::new(
            "cookie",
            Kind::Named { noun: "cookie", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Cookies that must have this value, likewise.",
        ),
        Key::new(
            "claim",
            Kind::Named { noun: "claim", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Claims of the caller's token that must have this value, likewise; `realm.roles` goes down into them, and \
             of a list one element is enough.",
        ),
        Key::new(
            "when",
            Kind::Text,
            Optional,
            "A condition in CEL over `method`, `scheme`, `host`, `path`, `query`, `headers`, `cookies`, `claims`, \
             `consumer` and `address`.",
        ),
    ],
};
