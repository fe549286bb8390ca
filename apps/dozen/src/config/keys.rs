//! Every key of `dozen.yaml`: its name, what may stand there, what holds without it, and what it means.

use super::schema::Presence::{Default, Optional, Required};
use super::schema::{Key, Kind, Section, Short};

const NAME: Kind = Kind::Name;
const TEXT: Kind = Kind::Text;
const COUNT: Kind = Kind::Count(1, 1_000_000_000);
const TOPIC: Kind = Kind::Topic;
const URL: Kind = Kind::Url;
const METHOD: Kind = Kind::Method;

/// The whole file.
pub(crate) static FILE: Section = Section {
    noun: "the file",
    short: Short::None,
    keys: &[
        Key::new("app", NAME, Required, "The name of the application."),
        Key::new(
            "store",
            Kind::Store,
            Default("sqlite:dozen.db"),
            "Where state lives: queues, topics and the outbox, in one transaction with each other. A relative path \
             starts from the folder of the file.",
        ),
        Key::new(
            "broker",
            Kind::Choice(&["builtin"]),
            Default("builtin"),
            "Who carries topics: the store itself.",
        ),
        Key::new(
            "registry",
            Kind::Section(&REGISTRY),
            Default("{}"),
            "Where services are found and announce themselves. `builtin` is short for all defaults.",
        ),
        Key::new(
            "services",
            Kind::Named { noun: "service", name: &NAME, of: &Kind::Section(&SERVICE) },
            Default("{}"),
            "The programs that the application is made of. Each has either `run` or `at`.",
        ),
        Key::new("gateway", Kind::Section(&GATEWAY), Optional, "The door for requests from outside."),
        Key::new(
            "queues",
            Kind::Named { noun: "queue", name: &NAME, of: &Kind::Section(&QUEUE) },
            Default("{}"),
            "Work that is done once, by one of several workers. `invoices:` alone is short for all defaults.",
        ),
        Key::new(
            "topics",
            Kind::Named { noun: "topic", name: &NAME, of: &Kind::Section(&TOPIC_KEYS) },
            Default("{}"),
            "Events that every subscription hears of. `orders:` alone is short for all defaults.",
        ),
        Key::new(
            "subscriptions",
            Kind::Named { noun: "subscription", name: &NAME, of: &Kind::Section(&SUBSCRIPTION) },
            Default("{}"),
            "Who hears of which topics; each message is sent to a service until that answers with success.",
        ),
        Key::new(
            "console",
            Kind::Switch(&CONSOLE),
            Default("{}"),
            "The web page that shows all of it. `false` switches it off.",
        ),
        Key::new("limits", Kind::Section(&LIMITS), Default("{}"), "What holds for the whole process."),
    ],
};

/// Sections that the design has and this version has not.
pub(crate) const LATER: [&str; 5] = ["features", "translators", "sagas", "projections", "data"];

static REGISTRY: Section = Section {
    noun: "the registry",
    short: Short::Word("builtin"),
    keys: &[Key::new(
        "listen",
        Kind::Address,
        Default("127.0.0.1:8501"),
        "Where services announce themselves and ask for others.",
    )],
};

pub(crate) static SERVICE: Section = Section {
    noun: "a service",
    short: Short::None,
    keys: &[
        Key::new(
            "run",
            Kind::Command,
            Optional,
            "The command that starts it, in words or as one line; no shell reads it. `dozen up` starts it, restarts \
             it and stops it.",
        ),
        Key::new(
            "at",
            Kind::Many(&URL),
            Optional,
            "Where it already runs, when nobody needs to start it: one address for each instance.",
        ),
        Key::new(
            "port",
            Kind::Port,
            Optional,
            "The port that it listens on; it is told in `PORT`. Without one it takes no requests. Several instances \
             get consecutive ports from this one.",
        ).with("run"),
        Key::new(
            "health",
            Kind::Path,
            Optional,
            "A path that answers `GET` with 2xx while it is well. Without one, accepting a connection is enough.",
        ),
        Key::new(
            "env",
            Kind::Named { noun: "variable", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Its environment, on top of what `dozen` has and sets itself.",
        ).with("run"),
        Key::new(
            "dir",
            Kind::Folder,
            Default("."),
            "The folder that it runs in. A relative one starts from the folder of the file.",
        ).with("run"),
        Key::new("instances", Kind::Count(1, 256), Default("1"), "How many of it run.").with("run"),
        Key::new(
            "sidecar",
            Kind::Switch(&SIDECAR),
            Optional,
            "Its sidecar, which speaks Dapr's HTTP API. A service with `run` has one unless this is `false`; one \
             with `at` has none unless this is `true`.",
        ),
        Key::new(
            "timeout",
            Kind::Duration,
            Default("30s"),
            "How long a call to it may take, unless the route or the caller says otherwise.",
        ),
        Key::new(
            "restart",
            Kind::Choice(&["always", "never"]),
            Default("always"),
            "Whether it is started again after it ended; with back-off from 100ms to 30s.",
        ).with("run"),
        Key::new(
            "start-timeout",
            Kind::Duration,
            Default("30s"),
            "How long it may take to become healthy before it is stopped and started again.",
        ).with("run"),
    ],
};

static SIDECAR: Section = Section {
    noun: "a sidecar",
    short: Short::None,
    keys: &[Key::new(
        "port",
        Kind::Port,
        Optional,
        "Where it listens, on 127.0.0.1. Without one: the next free port of the file from 3500 on.",
    )],
};

static GATEWAY: Section = Section {
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

static QUEUE: Section = Section {
    noun: "a queue",
    short: Short::None,
    keys: &[
        LEASE,
        ATTEMPTS_MAX,
        BACKOFF,
        Key::new("keep", Kind::Duration, Default("7d"), "How long done messages are kept for its history."),
        BODY_MAX,
        Key::new("waiting-max", COUNT, Default("1000000"), "Senders are refused beyond this many messages."),
    ],
};

static TOPIC_KEYS: Section = Section {
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

static SUBSCRIPTION: Section = Section {
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

static CONSOLE: Section = Section {
    noun: "the console",
    short: Short::None,
    keys: &[Key::new("listen", Kind::Address, Default("127.0.0.1:8500"), "Where the page is served.")],
};

static LIMITS: Section = Section {
    noun: "the limits",
    short: Short::None,
    keys: &[
        Key::new(
            "stop-deadline",
            Kind::Duration,
            Default("10s"),
            "How long everything may take to finish what it began before it is cut.",
        ),
        Key::new(
            "body-max",
            Kind::Size,
            Default("4MiB"),
            "The longest body of a request through the gateway.",
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
