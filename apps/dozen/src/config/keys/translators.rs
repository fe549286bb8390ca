//! `providers` and `translators`: systems of others, and the operations of ours that they answer.
//!
//! The keys are those of [`dozen_anticorruption::Options`], by the same names: the checked tree becomes them through serde.
//! Three keys are for the process alone: where a provider that is no service is, and what a translator does with messages.

mod call;
mod provider;

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::messages::{ATTEMPTS_MAX, BACKOFF};
use super::{NAME, TEXT};
use call::CALL;
pub(super) use provider::PROVIDER;

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
