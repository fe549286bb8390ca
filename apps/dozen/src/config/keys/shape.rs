//! What a route does with bodies: translation, validation, compression, cache.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;

pub(super) const REQUEST: Key = Key::new(
    "request",
    Kind::Data,
    Optional,
    "How requests are translated: `body` (`in` and `out`, which are `json`, and a mapping: `map`, `each` or `jq`), and \
     `query` and `headers` (mappings over `path`, `query`, `headers` and `method`).",
);

pub(super) const RESPONSE: Key = Key::new(
    "response",
    Kind::Data,
    Optional,
    "How answers are translated: `body` (of a success), `status` (such as `{ 404: 410, 5xx: 502 }`) and `max`, the \
     bytes of an answer that is translated, which are 4MiB.",
);

pub(super) const VALIDATE: Key = Key::new(
    "validate",
    Kind::Section(&VALIDATION),
    Optional,
    "What requests have to be, by JSON Schemas. Others never reach a service.",
);

pub(super) const OPENAPI: Key = Key::new(
    "openapi",
    Kind::Section(&API),
    Optional,
    "What requests have to be, by an OpenAPI document. The path of a file is short for its `document`.",
);

pub(super) const COMPRESS: Key = Key::new(
    "compress",
    Kind::Switch(&COMPRESSION),
    Optional,
    "Compresses answers for clients that take it. Events go out when they come.",
);

pub(super) const CACHE: Key = Key::new(
    "cache",
    Kind::Switch(&CACHING),
    Optional,
    "Keeps answers to be used again, by RFC 9111. Who asks for the same at the same time shares one request.",
);

static VALIDATION: Section = Section {
    noun: "a validation",
    short: Short::Key("body"),
    keys: &[
        Key::new("body", Kind::Document, Optional, "The JSON Schema of bodies, which then have to be JSON."),
        Key::new(
            "query",
            Kind::Document,
            Optional,
            "The JSON Schema of queries, as an object of texts; a parameter that comes again is a list.",
        ),
        Key::new(
            "headers",
            Kind::Document,
            Optional,
            "The JSON Schema of headers, as an object of texts by names in small letters.",
        ),
    ],
};

static API: Section = Section {
    noun: "the description of an API",
    short: Short::Key("document"),
    keys: &[
        Key::new(
            "document",
            Kind::Document,
            Required,
            "OpenAPI 3.0 or 3.1, in JSON or YAML. What it refers to is read from files beside it, and never fetched.",
        ),
        Key::new(
            "base",
            Kind::Path,
            Optional,
            "What clients' paths begin with before those of the document. Without one: the path of its first server.",
        ),
    ],
};

static COMPRESSION: Section = Section {
    noun: "a compression",
    short: Short::None,
    keys: &[
        Key::new(
            "codings",
            Kind::Many(&Kind::Choice(&["br", "zstd", "gzip"])),
            Optional,
            "Which codings, the dearest first where a client has no preference. Without them: all, in this order.",
        ),
        Key::new(
            "types",
            Kind::Many(&TEXT),
            Optional,
            "Content types, such as `text/*` or `application/*+json`. Without them: texts, JSON, XML, scripts and SVG.",
        ),
        Key::new(
            "min",
            Kind::Size,
            Default("1KiB"),
            "Answers that are known to be shorter stay as they are.",
        ),
    ],
};

static CACHING: Section = Section {
    noun: "a cache",
    short: Short::None,
    keys: &[
        Key::new(
            "max",
            Kind::Size,
            Default("16MiB"),
            "Of all answers together; those used longest ago go first.",
        ),
        Key::new("entry-max", Kind::Size, Default("1MiB"), "Of one answer; a longer one is not kept."),
        Key::new(
            "fresh",
            Kind::Duration,
            Optional,
            "How long a success is fresh that says nothing of it. Without one: only what says so is kept.",
        ),
        Key::new(
            "by",
            Kind::Many(&TEXT),
            Optional,
            "Headers whose values tell requests apart, beside those that answers name in `vary`.",
        ),
        Key::new(
            "stale-while-revalidate",
            Kind::Duration,
            Optional,
            "How long a stale answer is given while a new one is fetched, where it does not say so itself.",
        ),
        Key::new(
            "stale-if-error",
            Kind::Duration,
            Optional,
            "How long a stale answer is given in the place of a failure, where it does not say so itself.",
        ),
    ],
};
