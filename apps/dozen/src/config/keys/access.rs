//! `identity`, `consumers`, `plans`, `shed`, and what a route says of them: who may, and how often.
//!
//! The keys are those of the options in `dozen_gateway::{auth, limit}`, by the same names.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::{NAME, TEXT};

const TEXTS: Kind = Kind::Many(&TEXT);
const ONE_METHOD: Kind = Kind::Section(&METHOD);
const ONE_CONSUMER: Kind = Kind::Section(&CONSUMER);
const ONE_PLAN: Kind = Kind::Section(&PLAN);
const ONE_LIMIT: Kind = Kind::Section(&LIMIT);
const LIMITS: Kind = Kind::Many(&ONE_LIMIT);
const PRIORITY: Kind = Kind::Choice(&["low", "normal", "high"]);
const UNREACHABLE: Kind = Kind::Choice(&["deny", "allow"]);
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
    Kind::Section(&PLACES),
    Optional,
    "How many requests go on at once. A number is short for `max`.",
);

pub(super) const PRIORITY_KEY: Key = Key::new(
    "priority",
    PRIORITY,
    Optional,
    "How much its requests matter when `shed` lets go of some. Without one: `normal`. A consumer's plan goes before it.",
);

static METHOD: Section = Section {
    noun: "a method",
    short: Short::None,
    keys: &[
        Key::new("jwt", Kind::Section(&JWT), Optional, "A bearer token that somebody signed."),
        Key::new(
            "key",
            Kind::Section(&API_KEY),
            Optional,
            "An API key of a consumer's. A header's name is short for `header`.",
        ),
        Key::new(
            "introspect",
            Kind::Section(&INTROSPECT),
            Optional,
            "A bearer token that its issuer is asked about (RFC 7662). A URL is short for `url`.",
        ),
        Key::new(
            "forward",
            Kind::Section(&FORWARD),
            Optional,
            "A service that decides: 2xx passes, 3xx and 4xx go to the client. A URL is short for `url`.",
        ),
        Key::new(
            "certificate",
            Kind::Section(&CERTIFICATE),
            Optional,
            "The certificate that the client showed in its handshake, as `tls.client-ca` asks for it.",
        ),
    ],
};

static JWT: Section = Section {
    noun: "a JWT method",
    short: Short::None,
    keys: &[
        Key::new(
            "issuer",
            TEXT,
            Optional,
            "Who must have issued it, exactly as the token says it. Without one: whoever has the keys.",
        ),
        Key::new("audience", TEXTS, Required, "For whom it must be: one of these; `\"*\"` is anybody."),
        Key::new("keys", Kind::Section(&KEYS), Required, "Where its keys are. A URL is short for `url`."),
        Key::new(
            "algorithms",
            Kind::Many(&Kind::Choice(&["RS256", "ES256", "EdDSA", "HS256"])),
            Optional,
            "The algorithms that are taken. Without them: `HS256` with a secret, the other three otherwise.",
        ),
        Key::new("type", TEXT, Optional, "The token's `typ`, for example `at+jwt`. Without one: any."),
        Key::new("required", TEXTS, Optional, "Claims that must be there, beside `exp`."),
        Key::new("consumer", TEXT, Optional, "The claim that names the consumer."),
        Key::new("leeway", Kind::Duration, Default("30s"), "How far the issuer's clock may differ."),
        Key::new("refresh", Kind::Duration, Default("10m"), "How often the keys are fetched."),
        Key::new(
            "stale-max",
            Kind::Duration,
            Default("1h"),
            "How long keys are used after they were last fetched; then every request is answered with 503.",
        ),
        Key::new(
            "cool-down",
            Kind::Duration,
            Default("10s"),
            "The least time between two fetches, whatever keys tokens name.",
        ),
        Key::new("timeout", Kind::Duration, Default("5s"), "How long a fetch may take."),
        Key::new("cache-max", CACHED, Default("10000"), "How many verified tokens are remembered."),
    ],
};

static KEYS: Section = Section {
    noun: "the keys of a JWT method",
    short: Short::Key("url"),
    keys: &[
        Key::new(
            "url",
            TEXT,
            Optional,
            "A JWK set: an `https://` or `http://` URL, or `service:/path` of a service.",
        ),
        Key::new(
            "file",
            TEXT,
            Optional,
            "A JWK set in a file; a relative path starts from the folder of this file.",
        ),
        Key::new(
            "secret",
            Kind::Secret,
            Optional,
            "A secret that the issuer has too, of 32 bytes at least, for HS256.",
        ),
    ],
};

static API_KEY: Section = Section {
    noun: "an API-key method",
    short: Short::Key("header"),
    keys: &[
        Key::new("header", TEXT, Optional, "The header that brings it. The service does not see it."),
        Key::new("query", TEXT, Optional, "The query parameter that brings it, which others may see."),
    ],
};

static INTROSPECT: Section = Section {
    noun: "an introspection method",
    short: Short::Key("url"),
    keys: &[
        Key::new(
            "url",
            TEXT,
            Required,
            "Where to ask: an `https://` or `http://` URL, or `service:/path` of a service.",
        ),
        Key::new("client", TEXT, Optional, "The name that the issuer knows the gateway by."),
        Key::new("secret", Kind::Secret, Optional, "The secret that goes with it."),
        Key::new("issuer", TEXT, Optional, "Who must have issued the token, if the issuer says it."),
        Key::new("audience", TEXTS, Optional, "For whom it must be. Without one: anybody."),
        Key::new("consumer", TEXT, Optional, "The claim that names the consumer."),
        Key::new("timeout", Kind::Duration, Default("2s"), "How long the issuer may take."),
        Key::new(
            "keep",
            Kind::Duration,
            Default("30s"),
            "How long a yes is kept, and no longer than the token lives.",
        ),
        Key::new("keep-no", Kind::Duration, Default("5s"), "How long a no is kept."),
        Key::new(
            "on-unreachable",
            UNREACHABLE,
            Default("deny"),
            "What happens when it cannot be asked: 503, or requests pass as nobody.",
        ),
        Key::new("cache-max", CACHED, Default("10000"), "How many answers are kept."),
    ],
};

static FORWARD: Section = Section {
    noun: "a forward-auth method",
    short: Short::Key("url"),
    keys: &[
        Key::new(
            "url",
            TEXT,
            Required,
            "Where to ask: an `https://` or `http://` URL, or `service:/path` of a service.",
        ),
        Key::new(
            "headers",
            TEXTS,
            Optional,
            "Headers of the request that it sees. Without them: `authorization` and `cookie`.",
        ),
        Key::new(
            "copy",
            TEXTS,
            Optional,
            "Headers of its yes that the service behind sees. Its cookies go to the client.",
        ),
        Key::new("timeout", Kind::Duration, Default("2s"), "How long it may take."),
        Key::new(
            "body-max",
            Kind::Size,
            Default("16KiB"),
            "The longest no that is passed on; a longer one counts as no answer.",
        ),
        Key::new(
            "on-unreachable",
            UNREACHABLE,
            Default("deny"),
            "What happens when it cannot be asked: 503, or requests pass as nobody.",
        ),
    ],
};

static CERTIFICATE: Section = Section {
    noun: "a certificate method",
    short: Short::None,
    keys: &[
        Key::new(
            "strangers",
            Kind::Flag,
            Default("false"),
            "Whether a certificate passes that is no consumer's, as the subject that it names.",
        ),
        Key::new(
            "header",
            TEXT,
            Optional,
            "The header in which the service is told the certificate's names, in the form of Envoy's \
             `x-forwarded-client-cert`. A client's own of this name is removed.",
        ),
    ],
};

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

static LIMIT: Section = Section {
    noun: "a limit",
    short: Short::Key("rate"),
    keys: &[
        Key::new("rate", TEXT, Required, "How many in how long: `100/1m`, `5/s`."),
        Key::new(
            "per",
            Kind::Section(&PER),
            Optional,
            "What is counted by. `route`, `consumer` or `address` is short for `by`. Without one: `route`.",
        ),
        Key::new(
            "burst",
            AT_ONCE,
            Optional,
            "How many may come at once. Without one: as many as the rate names.",
        ),
        Key::new(
            "shared",
            Kind::Flag,
            Default("false"),
            "Whether all gateways on the store count together, or each for itself.",
        ),
        Key::new(
            "on-store-loss",
            Kind::Choice(&["local", "allow", "deny"]),
            Default("local"),
            "What happens while a shared limit's store is away: each counts for itself, all pass, or none.",
        ),
        Key::new("sync", Kind::Duration, Default("200ms"), "How often a shared limit meets the store."),
        Key::new(
            "keys-max",
            CACHED,
            Default("100000"),
            "How many keys are remembered; beyond, those that nobody asks for begin anew.",
        ),
    ],
};

static PLACES: Section = Section {
    noun: "a number of places",
    short: Short::Key("max"),
    keys: &[
        Key::new("max", AT_ONCE, Required, "How many."),
        Key::new(
            "per",
            Kind::Section(&PER),
            Optional,
            "What is counted by. `route`, `consumer` or `address` is short for `by`. Without one: `route`.",
        ),
    ],
};

static PER: Section = Section {
    noun: "what is counted by",
    short: Short::Key("by"),
    keys: &[
        Key::new(
            "by",
            Kind::Choice(&["route", "consumer", "address"]),
            Optional,
            "All requests together, each consumer, or each client address (IPv6 by /64).",
        ),
        Key::new("claim", TEXT, Optional, "Each value of this claim."),
        Key::new("header", TEXT, Optional, "Each value of this header, which a client chooses."),
        Key::new("cel", TEXT, Optional, "Each text that this expression makes."),
    ],
};
