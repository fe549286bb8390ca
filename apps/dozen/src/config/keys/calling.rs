//! What a service's keys say of calling it: what is tried, refused, repeated and asked, and over which transport.
//!
//! The keys are those of [`dozen_dataplane::ServicePolicy`], by the same names; `protocol` and `tls` stand beside them.

mod again;
mod health;

use super::super::schema::Presence::{Default, Optional};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;

use again::{BUDGET, HEDGE, RETRY};
pub(super) use health::CIRCUIT;
use health::{EJECT, PROBE};

const MANY: Kind = Kind::Count(1, 1_000_000);

/// Everything that can change while the service is called.
pub(crate) const CALLING: [Key; 16] = [
    Key::new(
        "protocol",
        Kind::Choice(&["http1", "h2", "h2c"]),
        Default("http1"),
        "Which HTTP it speaks: `h2` is HTTP/2 over TLS, `h2c` HTTP/2 without, as gRPC often has it.",
    ),
    Key::new(
        "tls",
        Kind::Switch(&TLS),
        Optional,
        "That it is spoken to over TLS. `true` trusts the CAs of the machine. Without it: plain TCP.",
    ),
    Key::new(
        "connect-timeout",
        Kind::Duration,
        Default("2s"),
        "How long opening a connection to an instance may take.",
    ),
    Key::new(
        "balance",
        Kind::Choice(&["least-request", "peak-ewma", "round-robin", "consistent-hash"]),
        Default("least-request"),
        "How an instance is chosen. `least-request` and `peak-ewma` draw two and take the better one; `consistent-hash` \
         goes by the `sticky` of the route.",
    ),
    Key::new(
        "hash-load-max-percent",
        Kind::Count(101, 10_000),
        Default("125"),
        "With `consistent-hash`: the most that an instance may have in flight, in percent of its fair share.",
    )
    .with("balance"),
    Key::new(
        "slow-start",
        Kind::Duration,
        Optional,
        "For how long the share of an instance that is new, or has recovered, grows to its full size.",
    ),
    Key::new(
        "probe",
        Kind::Section(&PROBE),
        Optional,
        "How its instances are asked whether they are well, while it is called. A path is short for `path`.",
    ),
    Key::new(
        "eject",
        Kind::Section(&EJECT),
        Optional,
        "When an instance that fails is left alone for a while. Without it: the defaults below.",
    ),
    Key::new(
        "circuit",
        Kind::Section(&CIRCUIT),
        Optional,
        "When the whole service is left alone for a while. Without it: never.",
    ),
    Key::new(
        "in-flight-max",
        MANY,
        Optional,
        "Requests to it at one time; more are refused with 503, or wait. Without it: any number.",
    ),
    Key::new(
        "pending-max",
        Kind::Count(0, 1_000_000),
        Default("0"),
        "Requests that may wait for one of those to end.",
    )
    .with("in-flight-max"),
    Key::new(
        "limit",
        Kind::Section(&LIMIT),
        Optional,
        "A limit of the requests at one time that finds itself, from how long they take. Without it: none.",
    ),
    Key::new(
        "retry",
        Kind::Section(&RETRY),
        Optional,
        "What is sent again. `retry:` alone is short for the defaults below; without it, only connections that cannot \
         be opened are tried with another instance.",
    ),
    Key::new(
        "budget",
        Kind::Section(&BUDGET),
        Optional,
        "How much is sent again or hedged, of all requests together. Without it: the defaults below.",
    ),
    Key::new(
        "hedge",
        Kind::Section(&HEDGE),
        Optional,
        "What is sent a second time without waiting for a failure: safe requests without a body. `p95` or `50ms` is \
         short for `after`.",
    ),
    Key::new(
        "endpoints-min",
        Kind::Count(0, 10_000),
        Default("0"),
        "Fewer instances are taken for a fault of the registry, and the last larger set is used for ten minutes.",
    ),
];

static TLS: Section = Section {
    noun: "TLS of a service",
    short: Short::None,
    keys: &[
        Key::new(
            "ca",
            TEXT,
            Optional,
            "A PEM file with the CAs that are trusted, and no others. Without one: those of the machine.",
        ),
        Key::new(
            "cert",
            TEXT,
            Optional,
            "A PEM file with the certificate that is shown to a service that asks who calls.",
        ),
        Key::new("key", TEXT, Optional, "A PEM file with its key."),
        Key::new(
            "server-name",
            Kind::Host,
            Optional,
            "The name that must be in the service's certificate. Without one: the host of its address.",
        ),
    ],
};

static LIMIT: Section = Section {
    noun: "a limit that finds itself",
    short: Short::None,
    keys: &[
        Key::new("first", MANY, Default("50"), "The limit at the start."),
        Key::new("min", MANY, Default("5"), "Never less."),
        Key::new("max", MANY, Default("1000"), "Never more."),
        Key::new(
            "tolerance-percent",
            Kind::Count(0, 10_000),
            Default("50"),
            "By how much an answer may take longer than the fastest before the limit shrinks.",
        ),
        Key::new("window", Kind::Duration, Default("1s"), "How long latencies are gathered for each step."),
    ],
};
