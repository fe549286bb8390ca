//! `providers` and `translators`: systems of others, and the operations of ours that they answer.
//!
//! The keys are those of [`dozen_anticorruption::Options`], by the same names: the checked tree becomes them through serde.
//! Three keys are for the process alone: where a provider that is no service is, and what a translator does with messages.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::calling::CIRCUIT;
use super::messages::{ATTEMPTS_MAX, BACKOFF};
use super::{NAME, TEXT};

pub(super) static PROVIDER: Section = Section {
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

pub(super) static TRANSLATOR: Section = Section {
    noun: "a translator",
    short: Short::None,
    keys: &[
        Key::new(
            "input-format",
            Kind::Tree,
            Default("json"),
            "The format of what comes in, where it comes as bytes; docs/mapping.md has all of them.",
        ),
        Key::new(
            "output-format",
            Kind::Tree,
            Default("json"),
            "The format of what goes out, where it goes as bytes.",
        ),
        Key::new(
            "input",
            Kind::Document,
            Optional,
            "JSON Schema of what comes in: a file, or the schema itself. Anything else is refused.",
        ),
        Key::new(
            "output",
            Kind::Document,
            Optional,
            "JSON Schema of what goes out: the tables are checked against it, and each result.",
        ),
        Key::new(
            "calls",
            Kind::Named { noun: "call", name: &NAME, of: &Kind::Section(&CALL) },
            Default("{}"),
            "Questions to others, by name. Those that need nothing of each other are asked at the same time.",
        ),
        Key::new(
            "map",
            Kind::Tree,
            Optional,
            "What the result is made of: a table over `input` and the results of the calls. Without one, there is one call, \
             and its result is the result.",
        ),
        Key::new("timeout", Kind::Duration, Default("10s"), "How long all of it may take."),
        Key::new("cache", Kind::Section(&CACHE), Optional, "What is kept of results. Without one: nothing."),
        Key::new(
            "drift",
            Kind::Section(&DRIFT),
            Default("{}"),
            "How live answers are compared with the examples, or with `answer: schema`.",
        ),
        Key::new(
            "examples",
            Kind::Many(&TEXT),
            Optional,
            "Files with examples, which are its tests (`dozen test`), its mock, and what live answers are compared with.",
        ),
        Key::new(
            "redact",
            Kind::Many(&TEXT),
            Optional,
            "Members that `dozen translator record` masks, beside those that look personal by their name.",
        ),
        Key::new(
            "messages",
            Kind::Section(&MESSAGES),
            Optional,
            "Messages of a topic or a queue that go through it: what is published or sent there is its input.",
        ),
    ],
};

static CALL: Section = Section {
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

static CACHE: Section = Section {
    noun: "a cache",
    short: Short::Key("for"),
    keys: &[
        Key::new("for", Kind::Duration, Required, "How long a result is kept."),
        Key::new(
            "entries-max",
            Kind::Count(1, 1_000_000),
            Default("1000"),
            "How many; the oldest goes first.",
        ),
        Key::new(
            "bytes-max",
            Kind::Size,
            Default("16MiB"),
            "How many bytes all of them may have, as JSON; the oldest goes first, and a larger result is not kept.",
        ),
    ],
};

static DRIFT: Section = Section {
    noun: "drift",
    short: Short::None,
    keys: &[
        Key::new(
            "one-in",
            Kind::Count(1, 1_000_000),
            Default("100"),
            "One of so many answers is compared, the first among them.",
        ),
        Key::new(
            "fields-max",
            Kind::Count(1, 10_000),
            Default("100"),
            "Differences that are kept for each way of asking; more are only counted.",
        ),
    ],
};

pub(crate) static MESSAGES: Section = Section {
    noun: "messages",
    short: Short::None,
    keys: &[
        Key::new(
            "from",
            NAME,
            Required,
            "The topic or the queue whose messages are the input, in `input-format`.",
        ),
        Key::new(
            "to",
            NAME,
            Optional,
            "The topic or the queue that gets the results, under the id and the key of the message. Without one, the calls are \
             what was wanted; of a message of a queue the result is then its reply.",
        ),
        Key::new("type", TEXT, Optional, "The type of the messages there. Required with `to`."),
        Key::new(
            "start",
            Kind::Start,
            Default("latest"),
            "Where it begins on a topic that it has not read before. Of a queue it reads everything.",
        ),
        ATTEMPTS_MAX,
        BACKOFF,
        Key::new(
            "in-flight-max",
            Kind::Count(1, 10_000),
            Default("8"),
            "How many messages are handled at once.",
        ),
    ],
};
