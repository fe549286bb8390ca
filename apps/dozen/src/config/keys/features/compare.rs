//! `features.NAME.compare`: how two answers are compared, and what of them does not matter.

use super::super::super::schema::Presence::{Default, Optional, Required};
use super::super::super::schema::{Key, Kind, Section, Short};
use super::{NAME, TEXT, TEXTS};

pub(super) static COMPARE: Section = Section {
    noun: "a comparison",
    short: Short::None,
    keys: &[
        Key::new(
            "sample",
            TEXT,
            Default("100%"),
            "How many of the requests are also sent to the other side.",
        ),
        Key::new(
            "headers",
            TEXTS,
            Optional,
            "Headers that must be equal. Without them: content-type and location.",
        ),
        Key::new(
            "ignore",
            TEXTS,
            Optional,
            "Places that do not matter: `$.generatedAt`, `$.items[*].id`, `$..etag`.",
        ),
        Key::new(
            "unordered",
            TEXTS,
            Optional,
            "Arrays whose order does not matter: `$.tags`, or `$.items by sku`.",
        ),
        Key::new(
            "tolerance",
            Kind::Named { noun: "place", name: &TEXT, of: &Kind::Data },
            Default("{}"),
            "How far values may be apart: `0.01`, `1%`, or for times `2s`.",
        ),
        Key::new("any-case", TEXTS, Optional, "Texts whose case does not matter."),
        Key::new("trailing-slash", TEXTS, Optional, "Texts that may end with a slash or not."),
        Key::new("hosts", TEXTS, Optional, "Host names that are one and the same in texts and headers."),
        Key::new(
            "redact",
            TEXTS,
            Optional,
            "Places whose values are not kept when they differ. What looks like personal data by its name never is.",
        ),
        Key::new(
            "differences-max",
            Kind::Count(1, 1_000),
            Default("20"),
            "Differences of one comparison that are kept.",
        ),
        Key::new("body-max", Kind::Size, Default("256KiB"), "The longest body that is compared."),
        Key::new(
            "confirm-after",
            Kind::Duration,
            Default("250ms"),
            "How long to wait before two answers that differ are asked for once more.",
        ),
        Key::new("noise", Kind::Section(&NOISE), Default("{}"), "What the old system is unsure of itself."),
        Key::new(
            "translators",
            Kind::Section(&TRANSLATORS),
            Optional,
            "Compares in the domain's model: a translator for each side.",
        ),
    ],
};

static TRANSLATORS: Section = Section {
    noun: "the translators of a comparison",
    short: Short::None,
    keys: &[
        Key::new("old", NAME, Required, "The translator of the old side's answers."),
        Key::new("new", NAME, Required, "The translator of the new side's answers."),
    ],
};

static NOISE: Section = Section {
    noun: "noise",
    short: Short::None,
    keys: &[
        Key::new(
            "replay-old",
            TEXT,
            Default("2%"),
            "How many of the compared reads are sent to the old side twice. `0%` learns nothing.",
        ),
        Key::new(
            "samples",
            Kind::Count(0, 1_000_000),
            Default("20"),
            "How many must have been before comparisons count.",
        ),
        Key::new(
            "floor",
            TEXT,
            Default("1%"),
            "From this rate on, a place that differs between two answers of the old side is noise.",
        ),
    ],
};
