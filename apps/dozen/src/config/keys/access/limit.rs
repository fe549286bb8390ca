//! `limit` and `in-flight`: how often, how many at once, and what is counted by.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{AT_ONCE, CACHED, TEXT};

pub(super) static LIMIT: Section = Section {
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

pub(super) static PLACES: Section = Section {
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
