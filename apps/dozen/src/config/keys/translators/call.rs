//! `translators.NAME.calls.NAME`: what is asked, of whom, and what the answer means.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{NAME, TEXT};

pub(super) static CALL: Section = Section {
    noun: "a call",
    short: Short::None,
    keys: &[
        Key::new(
            "with",
            Kind::Tree,
            Optional,
            "What the question is made of: paths into `input` and into results of other calls, which are made first. Without \
             one: the whole input.",
        ),
        Key::new(
            "ask",
            Kind::Many(&Kind::Section(&ASK)),
            Required,
            "Who may answer, in order: the next one is asked when a provider cannot be had.",
        ),
        Key::new(
            "optional",
            Kind::Flag,
            Default("false"),
            "Whether the operation goes on without an answer.",
        ),
    ],
};

static ASK: Section = Section {
    noun: "a way to ask",
    short: Short::None,
    keys: &[
        Key::new("provider", NAME, Required, "Who is asked."),
        Key::new("request", Kind::Section(&REQUEST), Default("{}"), "What is sent, in their model."),
        Key::new("answer", Kind::Section(&ANSWER), Default("{}"), "What comes back, and what it is in ours."),
        Key::new(
            "errors",
            Kind::Many(&Kind::Section(&ERROR)),
            Optional,
            "Their errors as ours. The first one whose condition holds counts.",
        ),
    ],
};

static REQUEST: Section = Section {
    noun: "a request",
    short: Short::None,
    keys: &[
        Key::new("method", Kind::Method, Default("GET"), "The method."),
        Key::new(
            "path",
            TEXT,
            Default("/"),
            "The path, with `{name}` for values of `with`, each of which stays within its segment.",
        ),
        Key::new("query", Kind::Tree, Optional, "A table that makes the query."),
        Key::new(
            "headers",
            Kind::Named { noun: "header", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Headers, with `{name}` for values of `with`.",
        ),
        Key::new(
            "format",
            Kind::Tree,
            Optional,
            "The format of the document that is sent. Without one there is none; a message is JSON.",
        ),
        Key::new(
            "map",
            Kind::Tree,
            Optional,
            "A table that makes the document. Without one it is what `with` makes.",
        ),
        Key::new(
            "header",
            Kind::Tree,
            Optional,
            "A table that makes the header of an envelope of SOAP, for a security token and the like. It is in no example.",
        ),
        Key::new(
            "sql",
            TEXT,
            Optional,
            "The statement for a database, with `:name` for values of `map`, or of `with`; they are bound and never part of \
             the text.",
        ),
        Key::new(
            "repeatable",
            Kind::Flag,
            Optional,
            "Whether it may be asked twice, or elsewhere too, without harm. Without it the method says; a statement may, a \
             message may not.",
        ),
    ],
};

static ANSWER: Section = Section {
    noun: "an answer",
    short: Short::None,
    keys: &[
        Key::new("format", Kind::Tree, Default("json"), "Its format; the content type counts, too."),
        Key::new(
            "schema",
            Kind::Document,
            Optional,
            "JSON Schema of their document: the table needs no branch for what it promises, and live answers are compared with \
             it.",
        ),
        Key::new(
            "map",
            Kind::Tree,
            Optional,
            "A table that makes our result. Without one it is the document.",
        ),
        Key::new("rule", Kind::Tree, Optional, "The same as one rule, where the result is a list."),
    ],
};

static ERROR: Section = Section {
    noun: "an error",
    short: Short::None,
    keys: &[
        Key::new(
            "when",
            TEXT,
            Required,
            "A condition in CEL over `status`, `fault` (`code`, `subcode`, `reason`, `detail`) and `body`.",
        ),
        Key::new("problem", TEXT, Optional, "The last part of the problem's type, or a whole URI."),
        Key::new("status", Kind::Count(400, 599), Optional, "The status of the problem. Without one: 502."),
        Key::new("title", TEXT, Optional, "What kind of thing is wrong, in our words."),
        Key::new(
            "map",
            Kind::Tree,
            Optional,
            "A table over `status`, `fault` and `body` that makes further members.",
        ),
        Key::new("next", Kind::Flag, Default("false"), "Whether it means that the next provider is asked."),
    ],
};
