//! `queues`, `topics`, `subscriptions` and `relays`: what goes between the services.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::{NAME, TEXT};

const COUNT: Kind = Kind::Count(1, 1_000_000_000);
const TOPIC: Kind = Kind::Topic;

pub(super) static QUEUE: Section = Section {
    noun: "a queue",
    short: Short::None,
    keys: &[
        LEASE,
        ATTEMPTS_MAX,
        BACKOFF,
        Key::new("keep", Kind::Duration, Default("7d"), "How long done messages are kept for its history."),
        BODY_MAX,
        Key::new("waiting-max", COUNT, Default("1000000"), "Senders are refused beyond this many messages."),
        PER_KEY,
        Key::new(
            "priorities",
            Kind::Count(1, 10),
            Default("1"),
            "How many priorities it has; they count from 0, the lowest. A higher one is handed out before all lower \
             ones.",
        ),
        Key::new(
            "expire",
            Kind::Duration,
            Optional,
            "How long a message may wait before it is dropped. Without one: for ever.",
        ),
        RATE,
        Key::new(
            "prefetch",
            Kind::Count(0, 10_000),
            Default("0"),
            "How many messages a worker holds ready beyond those that it handles.",
        ),
        SEALED,
        Key::new(
            "cron",
            Kind::Named { noun: "cron entry", name: &NAME, of: &Kind::Section(&CRON) },
            Default("{}"),
            "Messages that are sent by the clock, once each, however many processes run.",
        ),
    ],
};

static CRON: Section = Section {
    noun: "a cron entry",
    short: Short::None,
    keys: &[
        Key::new(
            "schedule",
            Kind::Schedule,
            Required,
            "The five fields of crontab(5), and a time zone if it is not UTC: `0 5 * * 1-5 Europe/Berlin`.",
        ),
        Key::new("type", TEXT, Required, "The message's type, for example `report.due`."),
        Key::new("data", Kind::Data, Default("{}"), "The message's payload, sent as JSON."),
        Key::new(
            "missed",
            Kind::Choice(&["once", "skip"]),
            Default("once"),
            "What becomes of times at which nothing ran: they are made up for with one message, or left out.",
        ),
    ],
};

pub(super) static TOPIC_KEYS: Section = Section {
    noun: "a topic",
    short: Short::None,
    keys: &[
        Key::new(
            "keep",
            Kind::Duration,
            Default("7d"),
            "How long messages are kept for subscriptions to come.",
        ),
        Key::new(
            "keep-size",
            Kind::Size,
            Optional,
            "How many bytes of messages are kept, whatever their age. What a subscription has not read yet is kept \
             nevertheless.",
        ),
        Key::new(
            "compact",
            Kind::Flag,
            Default("false"),
            "Whether only the last message of each key is kept. Messages without a key are kept as they are elsewhere.",
        ),
        Key::new(
            "key",
            NAME,
            Optional,
            "The attribute or field of the data that orders messages: those of one key arrive one after the other.",
        ),
        BODY_MAX,
        Key::new(
            "schema",
            Kind::Document,
            Optional,
            "The JSON Schema that payloads must satisfy: a file, or the schema itself. Without one: anything.",
        ),
        Key::new(
            "compatibility",
            Kind::Choice(&["none", "backward", "forward", "full"]),
            Default("backward"),
            "What a changed schema must not break: `backward`, those who read by the new one; `forward`, those who read \
             by the old one.",
        ),
        SEALED,
    ],
};

pub(super) static SUBSCRIPTION: Section = Section {
    noun: "a subscription",
    short: Short::None,
    keys: &[
        Key::new(
            "topics",
            Kind::Many(&TOPIC),
            Required,
            "The topics that it hears of. In a pattern `*` stands for one segment between dots, and `>` at the end for \
             one or more: `orders.*`, `orders.>`; those that are declared later too.",
        )
        .or("topic"),
        Key::new(
            "to",
            Kind::Target,
            Optional,
            "The service, and the path that messages are posted to; `/` without one. Either this or `url`.",
        ),
        Key::new(
            "url",
            Kind::Hook,
            Optional,
            "The address outside that messages are posted to. Either this or `to`.",
        ),
        Key::new(
            "mode",
            Kind::Choice(&["structured", "binary"]),
            Default("structured"),
            "How a message stands in a request: as one JSON object, or the payload as the body and the rest as `ce-` \
             headers.",
        ),
        Key::new(
            "secret",
            Kind::Many(&Kind::Secret),
            Optional,
            "Signs what is posted, as Standard Webhooks has it: 24 to 64 bytes in base64. Of several each signs, so that \
             a receiver can change from one to the other.",
        ),
        Key::new(
            "filter",
            Kind::Filter,
            Optional,
            "Which messages it wants, in CEL: `type == \"order.placed\" && data.total > 100`. Without one: all.",
        ),
        Key::new(
            "start",
            Kind::Start,
            Default("latest"),
            "Where a new subscription begins: with what comes, with all that is kept, with a moment, or after a position.",
        ),
        LEASE,
        ATTEMPTS_MAX,
        BACKOFF,
        PER_KEY,
        Key::new(
            "in-flight-max",
            Kind::Count(1, 10_000),
            Default("16"),
            "How many messages are being handled at once.",
        ),
        RATE,
        Key::new(
            "circuit",
            Kind::Switch(&CIRCUIT),
            Default("{}"),
            "When a receiver is left alone for a while. `false` is never: then each failure is an attempt.",
        ),
        Key::new(
            "dead-letter-topic",
            NAME,
            Optional,
            "A topic that gets what could not be handled. Without one it waits as a dead letter for a person.",
        ),
    ],
};

static CIRCUIT: Section = Section {
    noun: "a circuit",
    short: Short::None,
    keys: &[
        Key::new(
            "failures",
            Kind::Count(1, 1000),
            Default("5"),
            "After so many failures of the receiver in a row (no connection, no answer, 5xx) nothing is taken for it.",
        ),
        Key::new(
            "wait",
            Kind::Range,
            Default("1s..1m"),
            "The wait before one message is tried, which doubles from there, and the longest wait.",
        ),
    ],
};

pub(super) static RELAY: Section = Section {
    noun: "a relay",
    short: Short::None,
    keys: &[
        Key::new(
            "topics",
            Kind::Many(&TOPIC),
            Optional,
            "The topics that it carries, or patterns. Without one: all, and those that are declared later.",
        )
        .or("topic"),
        Key::new(
            "to",
            Kind::Store,
            Required,
            "The store that they are published in, on topics of the same names.",
        ),
        Key::new(
            "start",
            Kind::Start,
            Default("earliest"),
            "Where it begins on a topic that it has not carried before.",
        ),
        Key::new("batch", Kind::Count(1, 10_000), Default("500"), "How many messages are sent at once."),
    ],
};

const LEASE: Key = Key::new(
    "lease",
    Kind::Duration,
    Default("30s"),
    "How long a worker may hold a message without a sign of life before another gets it.",
);
pub(super) const ATTEMPTS_MAX: Key = Key::new(
    "attempts-max",
    Kind::Count(1, 1000),
    Default("8"),
    "A message that failed this often becomes a dead letter.",
);
pub(super) const BACKOFF: Key = Key::new(
    "backoff",
    Kind::Range,
    Default("1s..5m"),
    "The wait before the first retry, which doubles from there, and the longest wait.",
);
const BODY_MAX: Key =
    Key::new("body-max", Kind::Size, Default("1MiB"), "The longest message; a longer one is refused.");
const PER_KEY: Key = Key::new(
    "per-key",
    Kind::Count(1, 1000),
    Default("1"),
    "How many messages of one key are out at a time. With 1 their order is strict.",
);
const RATE: Key = Key::new(
    "rate",
    Kind::Rate,
    Optional,
    "How many a worker begins in a second. Without one: as many as it can.",
);
const SEALED: Key = Key::new(
    "sealed",
    Kind::Flag,
    Default("false"),
    "Whether payloads are sealed in the store with the first of `keys`; who sends or receives must have it.",
);
