//! `queues`, `topics` and `subscriptions`: what goes between the services.

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
            "key",
            NAME,
            Optional,
            "The attribute or field of the data that orders messages: those of one key arrive one after the other.",
        ),
        BODY_MAX,
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
            "The topics that it hears of; `orders.*` stands for all that begin with `orders.`.",
        )
        .or("topic"),
        Key::new(
            "to",
            Kind::Target,
            Required,
            "The service, and the path that messages are posted to; `/` without one.",
        ),
        Key::new(
            "start",
            Kind::Choice(&["latest", "earliest"]),
            Default("latest"),
            "Where a new subscription begins: with what comes, or with all that is kept.",
        ),
        LEASE,
        ATTEMPTS_MAX,
        BACKOFF,
        Key::new(
            "in-flight-max",
            Kind::Count(1, 10_000),
            Default("16"),
            "How many messages are being handled at once.",
        ),
        Key::new(
            "dead-letter-topic",
            TOPIC,
            Optional,
            "A topic that gets what could not be handled. Without one it waits as a dead letter for a person.",
        ),
    ],
};

const LEASE: Key = Key::new(
    "lease",
    Kind::Duration,
    Default("30s"),
    "How long a worker may hold a message without a sign of life before another gets it.",
);
const ATTEMPTS_MAX: Key = Key::new(
    "attempts-max",
    Kind::Count(1, 1000),
    Default("8"),
    "A message that failed this often becomes a dead letter.",
);
const BACKOFF: Key = Key::new(
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
