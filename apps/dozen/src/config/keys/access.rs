//! `identity`, `consumers`, `plans`, `shed`, and what a route says of them: who may, and how often.
//!
//! The keys are those of the options in `dozen_gateway::{auth, limit}`, by the same names.

mod limit;
mod method;

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::{NAME, TEXT};

const TEXTS: Kind = Kind::Many(&TEXT);
const ONE_METHOD: Kind = Kind::Section(&method::METHOD);
const ONE_CONSUMER: Kind = Kind::Section(&CONSUMER);
const ONE_PLAN: Kind = Kind::Section(&PLAN);
const ONE_LIMIT: Kind = Kind::Section(&limit::LIMIT);
const LIMITS: Kind = Kind::Many(&ONE_LIMIT);
const PRIORITY: Kind = Kind::Choice(&["low", "normal", "high"]);
const AT_ONCE: Kind = Kind::Count(1, 1_000_000);
const CACHED: Kind = Kind::Count(1, 10_000_000);

/// The keys of the gateway.
pub(super) const IDENTITY: Key = Key::new(
    "identity",
    Kind::Named { noun: "method", name: &NAME, of: &ONE_METHOD },
    Default("{}"),
    "The ways to show who one is; routes name them in `auth`. Each is one of `jwt`, `key`, `introspect`, \
     `forward` and `certificate`.",
);

pub(super) const CONSUMERS: Key = Key::new(
    "consumers",
    Kind::Named { noun: "consumer", name: &NAME, of: &ONE_CONSUMER },
    Default("{}"),
    "Who is known by name, by an API key, a claim of a token, or a certificate.",
);

pub(super) const PLANS: Key = Key::new(
    "plans",
    Kind::Named { noun: "plan", name: &NAME, of: &ONE_PLAN },
    Default("{}"),
    "What each consumer on a plan may do, over all routes together.",
);

pub(super) const SHED: Key = Key::new(
    "shed",
    Kind::Section(&SHEDDING),
    Optional,
    "When the whole gateway has too much to do. A number is short for `in-flight`.",
);

/// The keys of a route.
pub(super) const AUTH: Key = Key::new(
    "auth",
    Kind::Section(&ASKING),
    Optional,
    "Who may pass; without it, everybody. `web` or `[web, partner]` is short for `any`.",
);

pub(super) const CLIENTS: Key = Key::new(
    "clients",
    Kind::Section(&ADDRESSES),
    Optional,
    "From where requests may come; without it, from anywhere. `10.0.0.0/8` or a list is short for `allow`.",
);

pub(super) const LIMIT_KEY: Key = Key::new(
    "limit",
    LIMITS,
    Optional,
    "How often; of several limits all must hold. `100/1m` is short for `rate`.",
);

pub(super) const IN_FLIGHT: Key = Key::new(
    "in-flight",
    Kind::Section(&limit::PLACES),
    Optional,
    "How many requests go on at once. A number is short for `max`.",
);

pub(super) const PRIORITY_KEY: Key = Key::new(
    "priority",
    PRIORITY,
    Optional,
    "How much its requests matter when `shed` lets go of some. Without one: `normal`. A consumer's plan goes before it.",
);

static CONSUMER: Section = Section {
    noun: "a consumer",
    short: Short::Key("key"),
    keys: &[
        Key::new(
            "key",
            TEXTS,
            Optional,
            "The hash of its API key, `sha256:…`, or of several while one replaces another. `dozen key new` makes a \
             key and its hash.",
        ),
        Key::new(
            "certificate",
            TEXTS,
            Optional,
            "Names in its client certificates: a URI such as `spiffe://shop/orders`, a DNS name, or the whole subject \
             such as `CN=orders,O=Shop`.",
        ),
        Key::new("plan", NAME, Optional, "Its plan, one of `plans`."),
        Key::new("tags", TEXTS, Optional, "Words that `require` can ask for."),
    ],
};

static PLAN: Section = Section {
    noun: "a plan",
    short: Short::None,
    keys: &[
        Key::new("limit", LIMITS, Optional, "How often each consumer may; `per` is not looked at."),
        Key::new("in-flight", AT_ONCE, Optional, "How many requests of each consumer go on at once."),
        Key::new(
            "priority",
            PRIORITY,
            Optional,
            "How much its requests matter, in the place of the route's.",
        ),
    ],
};

static SHEDDING: Section = Section {
    noun: "shedding",
    short: Short::Key("in-flight"),
    keys: &[Key::new(
        "in-flight",
        AT_ONCE,
        Required,
        "Requests at one time. Those of low priority are refused from half of it on, normal ones from nine tenths.",
    )],
};

static ASKING: Section = Section {
    noun: "an `auth`",
    short: Short::Key("any"),
    keys: &[
        Key::new("any", Kind::Many(&NAME), Optional, "One of these methods must vouch, asked in this order."),
        Key::new("all", Kind::Many(&NAME), Optional, "All of these must."),
        Key::new(
            "require",
            TEXT,
            Optional,
            "What must hold besides, in CEL over `claims`, `consumer`, `client`, `request` and `route`.",
        ),
        Key::new(
            "optional",
            Kind::Flag,
            Default("false"),
            "Whether a request without any credential passes too, for `require` to decide.",
        ),
    ],
};

static ADDRESSES: Section = Section {
    noun: "clients",
    short: Short::Key("allow"),
    keys: &[
        Key::new(
            "allow",
            Kind::Many(&Kind::Network),
            Optional,
            "Addresses and networks of those who may pass. Without any: everybody that is not in `deny`.",
        ),
        Key::new(
            "deny",
            Kind::Many(&Kind::Network),
            Optional,
            "Of those who may not, also if they are in `allow`. They are answered with 403.",
        ),
    ],
};
