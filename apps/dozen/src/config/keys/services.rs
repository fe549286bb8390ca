//! `services`: what runs.

use super::super::schema::Presence::{Default, Optional};
use super::super::schema::{Key, Kind, Section, Short};
use super::TEXT;
use super::calling::CALLING;

const URL: Kind = Kind::Url;

pub(crate) static SERVICE: Section =
    Section { noun: "a service", short: Short::None, keys: &join::<11, 16, 27>(OWN, CALLING) };

/// Two lists of keys, one behind the other.
const fn join<const A: usize, const B: usize, const ALL: usize>(
    one: [Key; A],
    other: [Key; B],
) -> [Key; ALL] {
    let mut all = [one[0]; ALL];
    let mut at = 1;
    while at < ALL {
        all[at] = if at < A { one[at] } else { other[at - A] };
        at += 1;
    }
    all
}

const OWN: [Key; 11] = [
        Key::new(
            "run",
            Kind::Command,
            Optional,
            "The command that starts it, in words or as one line; no shell reads it. `dozen up` starts it, restarts \
             it and stops it.",
        ),
        Key::new(
            "at",
            Kind::Many(&URL),
            Optional,
            "Where it already runs, when nobody needs to start it: one address for each instance. `https://` is `tls: true`, \
             and of port 443 without another. A host's name is an instance for each of its addresses.",
        ),
        Key::new(
            "port",
            Kind::Port,
            Optional,
            "The port that it listens on; it is told in `PORT`. Without one it takes no requests. Several instances \
             get consecutive ports from this one.",
        ).with("run"),
        Key::new(
            "health",
            Kind::Path,
            Optional,
            "A path that answers `GET` with 2xx while it is well. Without one, accepting a connection is enough.",
        ),
        Key::new(
            "env",
            Kind::Named { noun: "variable", name: &TEXT, of: &TEXT },
            Default("{}"),
            "Its environment, on top of what `dozen` has and sets itself.",
        ).with("run"),
        Key::new(
            "dir",
            Kind::Folder,
            Default("."),
            "The folder that it runs in. A relative one starts from the folder of the file.",
        ).with("run"),
        Key::new("instances", Kind::Count(1, 256), Default("1"), "How many of it run.").with("run"),
        Key::new(
            "sidecar",
            Kind::Switch(&SIDECAR),
            Optional,
            "Its sidecar, which speaks Dapr's HTTP API. A service with `run` has one unless this is `false`; one \
             with `at` has none unless this is `true`.",
        ),
        Key::new(
            "timeout",
            Kind::Duration,
            Default("30s"),
            "How long a call to it may take, unless the route or the caller says otherwise.",
        ),
        Key::new(
            "restart",
            Kind::Choice(&["always", "never"]),
            Default("always"),
            "Whether it is started again after it ended; with back-off from 100ms to 30s.",
        ).with("run"),
        Key::new(
            "start-timeout",
            Kind::Duration,
            Default("30s"),
            "How long it may take to become healthy before it is stopped and started again.",
        ).with("run"),
];

static SIDECAR: Section = Section {
    noun: "a sidecar",
    short: Short::None,
    keys: &[Key::new(
        "port",
        Kind::Port,
        Optional,
        "Where it listens, on 127.0.0.1. Without one: the next free port of the file from 3500 on.",
    )],
};
