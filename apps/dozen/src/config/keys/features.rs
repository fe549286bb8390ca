//! `features`: capabilities that move from an old service to a new one.
//!
//! The keys are those of [`dozen_strangler::FeatureOptions`], by the same names: the checked tree becomes one through serde.

mod compare;
mod face;

use super::super::schema::Presence::{Default, Optional, Required};
use super::super::schema::{Key, Kind, Section, Short};
use super::route::MATCH;
use super::{NAME, TEXT};
use compare::COMPARE;
use face::{LOGIN, REWRITE};

const TEXTS: Kind = Kind::Many(&TEXT);
const COUNT: Kind = Kind::Count(0, 1_000_000_000);
const MATCHES: Kind = Kind::Section(&MATCH);

pub(crate) static FEATURE: Section = Section {
    noun: "a feature",
    short: Short::None,
    keys: &[
        Key::new("old", NAME, Required, "The service that has the capability today."),
        Key::new("new", NAME, Required, "The service that will have it."),
        Key::new(
            "match",
            Kind::Many(&MATCHES),
            Optional,
            "Which requests belong to it: short for routes of the gateway with this match and `feature`. Who needs \
             more of a route (`auth`, `limit`, `timeout`…) writes it there.",
        ),
        Key::new(
            "owner",
            TEXT,
            Optional,
            "Who is responsible for the move. Reports name a feature without one.",
        ),
        Key::new("due", TEXT, Optional, "The day by which it should be done: `2027-03-31`."),
        Key::new(
            "key",
            TEXT,
            Default("user"),
            "Who stays together on one side: `user` (whoever is authenticated), `header NAME` or `cookie NAME`.",
        ),
        Key::new(
            "stages",
            TEXTS,
            Optional,
            "The stages that it may be in, rising; it begins at the first. Without them: shadow, compare, 1%, 5%, \
             25%, 50%, complete, retired.",
        ),
        Key::new(
            "force-key",
            Kind::Secret,
            Optional,
            "What a tester must know to choose a side: `dozen-feature: NAME=new; key=…`. Without one nobody can.",
        ),
        Key::new("compare", Kind::Section(&COMPARE), Default("{}"), "How answers are compared."),
        Key::new("advance", Kind::Section(&ADVANCE), Default("{}"), "When it may go on."),
        Key::new(
            "on-breach",
            Kind::Choice(&["rollback", "freeze"]),
            Default("rollback"),
            "What happens when a threshold is broken while the new side serves users.",
        ),
        Key::new(
            "writes",
            Kind::Section(&WRITES),
            Default("{}"),
            "What becomes of requests that may change something.",
        ),
        Key::new("retire", Kind::Section(&RETIRE), Default("{}"), "When it is over."),
        Key::new(
            "rewrite",
            Kind::Section(&REWRITE),
            Optional,
            "What stands for the systems' own addresses and cookies in answers.",
        ),
        Key::new(
            "login",
            Kind::Section(&LOGIN),
            Optional,
            "How somebody who is logged in on one side is known on the other.",
        ),
    ],
};

static ADVANCE: Section = Section {
    noun: "a gate",
    short: Short::None,
    keys: &[
        Key::new(
            "automatic",
            Kind::Flag,
            Default("true"),
            "Whether it goes on by itself. It goes back by itself in any case.",
        ),
        Key::new("parity", TEXT, Default("99.9%"), "How many of the compared answers must be equal."),
        Key::new(
            "confidence",
            TEXT,
            Default("95%"),
            "How sure the gate must be before it says pass or fail.",
        ),
        Key::new("samples", COUNT, Default("2000"), "How many samples it needs at least to say pass."),
        Key::new("hold", Kind::Duration, Default("30m"), "How long a stage lasts at least."),
        Key::new(
            "p99",
            Kind::Data,
            Default("1.1"),
            "By how much the slowest hundredth of the new side's answers may be slower: 1.1 is a tenth.",
        ),
        Key::new(
            "errors",
            TEXT,
            Default("0.1%"),
            "By how much the new side may fail more often than the old.",
        ),
        Key::new(
            "reconciled",
            TEXT,
            Default("99.9%"),
            "How many of the reconciled writes must be equal on both sides.",
        ),
        Key::new("lag", Kind::Duration, Default("30s"), "How far the side that is fed may be behind."),
        Key::new(
            "window",
            Kind::Duration,
            Default("1m"),
            "How long a window is in which a sudden break is looked for.",
        ),
    ],
};

static WRITES: Section = Section {
    noun: "writes",
    short: Short::None,
    keys: &[
        Key::new(
            "authority",
            Kind::Choice(&["old", "new"]),
            Optional,
            "The side that takes every write until the move is complete; the other is fed. Without one a write goes \
             where a read of its key goes.",
        ),
        Key::new(
            "shadow",
            Kind::Choice(&["never", "sandbox", "idempotency-key", "record"]),
            Default("never"),
            "Whether and how writes are shadowed: with the header `dozen-sandbox: true`, with an idempotency key, or \
             recorded and applied later through the feed.",
        ),
        Key::new(
            "reconcile-after",
            Kind::Duration,
            Default("0s"),
            "How long after a write was applied the two sides are compared.",
        ),
    ],
};

static RETIRE: Section = Section {
    noun: "a retirement",
    short: Short::None,
    keys: &[
        Key::new(
            "after",
            Kind::Duration,
            Optional,
            "How long nobody may have asked the old side while the new one served, to the end. Without it a person decides.",
        ),
        Key::new(
            "reverse-shadow",
            Kind::Flag,
            Default("true"),
            "Whether the old side is asked for comparison once the new one serves all.",
        ),
        Key::new(
            "answer-old",
            Kind::Count(400, 599),
            Default("410"),
            "What requests for the old side get once it is retired.",
        ),
    ],
};
