//! `retry`, `budget` and `hedge`: what is sent again, and how much of it.

use super::super::super::schema::Presence::{Default, Optional};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;

pub(super) static RETRY: Section = Section {
    noun: "a retry",
    short: Short::None,
    keys: &[
        Key::new("attempts-max", Kind::Count(1, 100), Default("3"), "Attempts in all, the first included."),
        Key::new(
            "on",
            Kind::Many(&TEXT),
            Optional,
            "The failures: `connect`, `reset`, `timeout`, and statuses from 400 on. Without them: these three, 502, 503 \
             and 504. Beyond `connect` only idempotent requests, and those with an `idempotency-key`.",
        ),
        Key::new(
            "per-try-timeout",
            Kind::Duration,
            Optional,
            "How long one attempt may take to the head of its answer. Without it: as long as the request may.",
        ),
        Key::new(
            "backoff",
            Kind::Duration,
            Default("25ms"),
            "The longest first wait; it doubles, and is drawn by lot.",
        ),
        Key::new("backoff-max", Kind::Duration, Default("250ms"), "No wait is longer."),
    ],
};

pub(super) static BUDGET: Section = Section {
    noun: "a budget",
    short: Short::Key("percent"),
    keys: &[
        Key::new("percent", Kind::Count(0, 10_000), Default("20"), "For each hundred requests so many."),
        Key::new(
            "per-second-min",
            Kind::Count(0, 1_000_000),
            Default("3"),
            "And so many more in each second.",
        ),
        Key::new("window", Kind::Duration, Default("10s"), "Over how long both are reckoned."),
    ],
};

pub(super) static HEDGE: Section = Section {
    noun: "a hedge",
    short: Short::Key("after"),
    keys: &[
        Key::new(
            "after",
            TEXT,
            Default("p95"),
            "How long the first answer is waited for: a duration, or what the service usually takes, `p1` to `p99`.",
        ),
        Key::new("max", Kind::Count(1, 10), Default("1"), "Further requests at most."),
    ],
};
