//! `identity`: the ways to show who one is.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{CACHED, TEXT, TEXTS};

const UNREACHABLE: Kind = Kind::Choice(&["deny", "allow"]);

pub(super) static METHOD: Section = Section {
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
