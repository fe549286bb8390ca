//! What the gateway's listener speaks, and its limits.

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;

pub(super) const TLS: Key = Key::new(
    "tls",
    Kind::Section(&TLS_KEYS),
    Optional,
    "TLS towards clients, with HTTP/2 for those that offer it. Certificates are read again when their files change.",
);

pub(super) const CONNECTIONS_MAX: Key = Key::new(
    "connections-max",
    Kind::Count(1, 1_000_000),
    Default("50000"),
    "Connections of clients at one time; more wait.",
);

pub(super) const CONNECTIONS_PER_ADDRESS: Key = Key::new(
    "connections-per-address",
    Kind::Count(1, 1_000_000),
    Default("5000"),
    "Of these, from one address (IPv6: from one /64); more are closed at once. Addresses in `trusted` may have any number.",
);

pub(super) const HEAD_MAX: Key =
    Key::new("head-max", Kind::Size, Default("16KiB"), "The longest head of a request, from 1KiB to 1MiB.");

pub(super) const HEADER_TIMEOUT: Key = Key::new(
    "header-timeout",
    Kind::Duration,
    Default("10s"),
    "How long a head may take from its first byte to its last.",
);

pub(super) const IDLE_TIMEOUT: Key = Key::new(
    "idle-timeout",
    Kind::Duration,
    Default("75s"),
    "How long a client's connection is kept without a request.",
);

pub(super) const STALL_TIMEOUT: Key = Key::new(
    "stall-timeout",
    Kind::Duration,
    Default("5m"),
    "How long either side may neither send nor take anything of a body.",
);

pub(super) const BODY_RATE_MIN: Key = Key::new(
    "body-rate-min",
    Kind::Count(0, 1_000_000),
    Default("240"),
    "Bytes a second that a client has to send of a body, and to take of one, after five seconds; 0 for as slowly as it likes. \
     Not for WebSockets, events and gRPC.",
);

static TLS_KEYS: Section = Section {
    noun: "TLS of the gateway",
    short: Short::None,
    keys: &[
        Key::new(
            "certificates",
            Kind::Many(&Kind::Section(&CERTIFICATE)),
            Optional,
            "One for each set of hosts. The names in a certificate say for which it is shown (SNI); the first is shown \
             to all others. At least one, or `acme`.",
        ),
        Key::new(
            "acme",
            Kind::Section(&ACME),
            Optional,
            "An authority that gives a certificate by ACME (RFC 8555), and another before it ends. The program must be \
             built with the feature `acme`.",
        ),
        Key::new(
            "redirect-from",
            Kind::Address,
            Optional,
            "Another address, such as `0.0.0.0:80`, where plain HTTP is answered with 308 to `https://` and the port of \
             `listen`.",
        ),
        Key::new(
            "client-ca",
            Kind::Section(&CLIENT_CA),
            Optional,
            "Who vouches for clients (mTLS). A file is short for `file`. Without it nobody is asked for a certificate.",
        ),
    ],
};

static CERTIFICATE: Section = Section {
    noun: "a certificate",
    short: Short::None,
    keys: &[
        Key::new(
            "cert",
            TEXT,
            Required,
            "A PEM file: the certificate, and those that lead from it to its CA. A relative path starts from the folder \
             of the file.",
        ),
        Key::new("key", TEXT, Required, "A PEM file with its key."),
    ],
};

static ACME: Section = Section {
    noun: "certificates by ACME",
    short: Short::None,
    keys: &[
        Key::new(
            "names",
            Kind::Many(&TEXT),
            Required,
            "The hosts that it is for, at most 100; no wildcards. The authority asks for each at port 443 of the host, \
             which has to lead to `listen`.",
        ),
        Key::new(
            "directory",
            TEXT,
            Required,
            "Where the authority's directory is: an `https://` address. To name it is to agree to its terms.",
        ),
        Key::new("contact", TEXT, Optional, "Whom the authority writes to: `mailto:you@example.org`."),
        Key::new(
            "ca",
            TEXT,
            Optional,
            "A PEM file with the CA of the authority's own server; those of the machine without.",
        ),
        Key::new(
            "folder",
            TEXT,
            Default("acme"),
            "Where the account and the certificate are kept, readable by this user alone. A relative path starts from \
             the folder of the file.",
        ),
    ],
};

static CLIENT_CA: Section = Section {
    noun: "a CA of clients",
    short: Short::Key("file"),
    keys: &[
        Key::new("file", TEXT, Required, "A PEM file with its certificates."),
        Key::new(
            "optional",
            Kind::Flag,
            Default("false"),
            "Whether a client without a certificate is let in all the same.",
        ),
    ],
};
