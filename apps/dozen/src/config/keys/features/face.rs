//! `features.NAME.rewrite` and `login`: what clients see of two systems that are one to them.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{TEXT, TEXTS};

pub(super) static REWRITE: Section = Section {
    noun: "a rewriting",
    short: Short::None,
    keys: &[
        Key::new("facade", TEXT, Required, "What clients know: scheme and host, `https://shop.example`."),
        Key::new("old", Kind::Section(&SIDE), Default("{}"), "What the old system says of itself."),
        Key::new("new", Kind::Section(&SIDE), Default("{}"), "What the new system says of itself."),
    ],
};

static SIDE: Section = Section {
    noun: "a side",
    short: Short::None,
    keys: &[
        Key::new("hosts", TEXTS, Optional, "Host names of its own, with their port if they have one."),
        Key::new("mounted", Kind::Path, Optional, "The path at which it is mounted."),
        Key::new("facade-path", Kind::Path, Optional, "The path of the facade that stands for it.")
            .with("mounted"),
        Key::new("bodies", Kind::Flag, Default("false"), "Whether links in text bodies are rewritten, too."),
        Key::new(
            "cookies",
            Kind::Section(&COOKIES),
            Optional,
            "What becomes of its cookies. Without it they stay as they are.",
        ),
    ],
};

static COOKIES: Section = Section {
    noun: "rules for cookies",
    short: Short::None,
    keys: &[
        Key::new(
            "domain",
            Kind::Host,
            Optional,
            "The domain that they get. Without one they belong to the facade's host alone.",
        ),
        Key::new("secure", Kind::Flag, Default("false"), "Whether they go over TLS only."),
        Key::new(
            "same-site",
            Kind::Choice(&["strict", "lax", "none"]),
            Optional,
            "What they get as `SameSite`.",
        ),
    ],
};

pub(super) static LOGIN: Section = Section {
    noun: "a login",
    short: Short::None,
    keys: &[
        Key::new("old", Kind::Section(&PROOF), Required, "What the old side takes as a proof."),
        Key::new("new", Kind::Section(&PROOF), Required, "What the new side takes as a proof."),
        Key::new(
            "keep",
            Kind::Duration,
            Default("30s"),
            "How long somebody is known without asking again; a logout may go unnoticed as long.",
        ),
    ],
};

static PROOF: Section = Section {
    noun: "a proof",
    short: Short::None,
    keys: &[
        Key::new(
            "cookie",
            TEXT,
            Optional,
            "The cookie that carries it. Without one: `authorization: Bearer …`.",
        ),
        Key::new(
            "whose",
            Kind::Target,
            Required,
            "Service and path that say whose it is: `GET` with the proof; 200 with a JSON object that has `sub`, or 401.",
        ),
        Key::new(
            "issue",
            Kind::Target,
            Required,
            "Service and path that make one: `POST` with that object; 200 with a JSON object that has `proof`.",
        ),
    ],
};
