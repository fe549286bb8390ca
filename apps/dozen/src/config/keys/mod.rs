//! Every key of `dozen.yaml`: its name, what may stand there, what holds without it, and what it means.

mod access;
mod calling;
mod features;
mod gateway;
mod listener;
mod messages;
mod route;
mod services;
mod shape;
mod traces;
mod translators;

use super::schema::Presence::{Default, Optional, Required};
use super::schema::{Key, Kind, Section, Short};

pub(crate) use calling::CALLING;
pub(crate) use services::SERVICE;
pub(crate) use translators::MESSAGES;

const NAME: Kind = Kind::Name;
const TEXT: Kind = Kind::Text;

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
            "Where state lives: queues, topics and the outbox, in one transaction with each other. A file of SQLite, or \
             a PostgreSQL database, whose password is never shown; docs/postgres.md has the options of its address, TLS \
             (`?sslmode=verify-full`) among them. A relative path starts from the folder of the file.",
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
        Key::new(
            "providers",
            Kind::Named { noun: "provider", name: &NAME, of: &Kind::Section(&translators::PROVIDER) },
            Default("{}"),
            "Systems of others that translators ask, each with its own bulkhead and circuit: a service of the file, a \
             database, or a queue that is answered. `erp:` alone is the service of that name.",
        ),
        Key::new(
            "translators",
            Kind::Named { noun: "translator", name: &NAME, of: &Kind::Section(&translators::TRANSLATOR) },
            Default("{}"),
            "Operations of ours that providers answer, in their models. Each is found like a service, by its name.",
        ),
        Key::new(
            "gateway",
            Kind::Section(&gateway::GATEWAY),
            Optional,
            "The door for requests from outside.",
        ),
        Key::new(
            "features",
            Kind::Named { noun: "feature", name: &NAME, of: &Kind::Section(&features::FEATURE) },
            Default("{}"),
            "Capabilities that move from an old service to a new one, step by step. These are the bounds of a move; how \
             far it has come stands in the store.",
        ),
        Key::new(
            "queues",
            Kind::Named { noun: "queue", name: &NAME, of: &Kind::Section(&messages::QUEUE) },
            Default("{}"),
            "Work that is done once, by one of several workers. `invoices:` alone is short for all defaults.",
        ),
        Key::new(
            "topics",
            Kind::Named { noun: "topic", name: &NAME, of: &Kind::Section(&messages::TOPIC_KEYS) },
            Default("{}"),
            "Events that every subscription hears of. `orders:` alone is short for all defaults.",
        ),
        Key::new(
            "subscriptions",
            Kind::Named { noun: "subscription", name: &NAME, of: &Kind::Section(&messages::SUBSCRIPTION) },
            Default("{}"),
            "Who hears of which topics; each message is sent to a service, or to an address \
             outside, until that answers with success.",
        ),
        Key::new(
            "relays",
            Kind::Named { noun: "relay", name: &NAME, of: &Kind::Section(&messages::RELAY) },
            Default("{}"),
            "What is published here and carried on to another store, whenever that is there.",
        ),
        Key::new(
            "console",
            Kind::Switch(&CONSOLE),
            Default("{}"),
            "The web page that shows all of it. `false` switches it off.",
        ),
        Key::new(
            "api",
            Kind::Switch(&API),
            Default("{}"),
            "Queues and topics over HTTP, for programs that have no sidecar. `false` switches it off.",
        ),
        Key::new(
            "keys",
            Kind::Named { noun: "key", name: &NAME, of: &Kind::Secret },
            Default("{}"),
            "Keys for payloads that are sealed in the store, each 32 bytes in base64 (`openssl rand -base64 32`). The \
             first seals; all of them open, so that a key is changed by putting a new one in front.",
        ),
        Key::new(
            "traces",
            Kind::Section(&traces::TRACES),
            Optional,
            "Where the steps of requests through the gateway are told, for each trace that is kept. An address is short for \
             `to`.",
        ),
        Key::new("limits", Kind::Section(&LIMITS), Default("{}"), "What holds for the whole process."),
    ],
};

/// Sections that the design has and this version has not.
pub(crate) const LATER: [&str; 3] = ["sagas", "projections", "data"];

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

static CONSOLE: Section = Section {
    noun: "the console",
    short: Short::None,
    keys: &[Key::new("listen", Kind::Address, Default("127.0.0.1:8500"), "Where the page is served.")],
};

static API: Section = Section {
    noun: "the API",
    short: Short::None,
    keys: &[
        Key::new("listen", Kind::Address, Default("127.0.0.1:8510"), "Where it is served."),
        Key::new(
            "token",
            Kind::Secret,
            Optional,
            "What every request must bring as `Authorization: Bearer …`. Required where it listens beyond loopback.",
        ),
    ],
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
