//! The words in which the file is described: what a key is called, what it means, and what may stand there.
//!
//! The description itself is in `keys`, once. Everything that has to know the file reads it from there: the checks,
//! the suggestions, `check --schema`, `check --expanded`, and docs/configuration.md.

/// What may stand in a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A name of a service, queue, topic…
    Name,
    /// The name of a topic that the file declares, or a pattern like `orders.*`.
    Topic,
    /// `sqlite:path` or `postgres://host/database`.
    Store,
    /// A text that is never shown.
    Secret,
    /// `true` or `false`.
    Flag,
    /// A folder.
    Folder,
    /// A command and its arguments: a list, or one line.
    Command,
    /// `http://host:port`.
    Url,
    /// `host:port` to listen on.
    Address,
    Port,
    /// A whole number between two bounds.
    Count(u64, u64),
    /// How many in a second.
    Rate,
    /// The five fields of crontab(5), and a time zone.
    Schedule,
    /// Any value, as JSON.
    Data,
    /// Any value, whose parts each know their place.
    Tree,
    /// A document of JSON Schema or OpenAPI: a file, or the document itself.
    Document,
    /// A filter of messages, in CEL.
    Filter,
    /// Where a reader begins: `latest`, `earliest`, a moment or a position.
    Start,
    /// An address that messages are posted to.
    Hook,
    Duration,
    /// `1s..5m`.
    Range,
    /// `4MiB`.
    Size,
    /// A path of an URL.
    Path,
    /// A path with names in it.
    Template,
    /// `service` or `service:/path`.
    Target,
    /// The same with a path that may be filled with anything of the request.
    Destination,
    /// An address without a port, or a network of them.
    Network,
    /// A host name, or `*.name`.
    Host,
    /// An HTTP method.
    Method,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list; one value alone is short for a list of one.
    Many(&'static Kind),
    /// A mapping from names that the user chooses.
    Named {
        noun: &'static str,
        name: &'static Kind,
        of: &'static Kind,
    },
    /// A mapping with these keys; nothing is short for all defaults.
    Section(&'static Section),
    /// A section that can be switched: `true` for all defaults, `false` for off.
    Switch(&'static Section),
    /// A list of routes; a mapping from request line to target is short for it.
    Routes(&'static Kind),
}

/// A mapping whose keys are known.
#[derive(Debug)]
pub(crate) struct Section {
    /// With its article: "a service".
    pub(crate) noun: &'static str,
    pub(crate) keys: &'static [Key],
    pub(crate) short: Short,
}

/// What a single value in the place of a section is short for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    None,
    /// This word: all defaults.
    Word(&'static str),
    /// `GET /path` or `/path`: the keys `method` and `path`.
    RequestLine,
    /// The value of this key.
    Key(&'static str),
}

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Another way to write it.
    pub(crate) alias: Option<&'static str>,
    /// One sentence or two, for the manual.
    pub(crate) doc: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    /// It means something only where this other key stands.
    pub(crate) with: Option<&'static str>,
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// Absent means that there is none.
    Optional,
    /// Absent means this, as it would be written.
    Default(&'static str),
}

impl Key {
    pub(crate) const fn new(name: &'static str, kind: Kind, presence: Presence, doc: &'static str) -> Self {
        Self { name, alias: None, doc, kind, presence, with: None }
    }

    pub(crate) const fn or(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn with(mut self, other: &'static str) -> Self {
        self.with = Some(other);
        self
    }
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name || key.alias == Some(name))
    }

    /// Whether a list may stand under this key.
    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| matches!(key.kind, Kind::Many(_)))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().flat_map(|key| [Some(key.name), key.alias]).flatten()
    }
}

impl Kind {
    /// What it is, after "is not …" and "should be …".
    pub(crate) fn noun(&self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Name => "a name".into(),
            Self::Topic => "a topic's name or a pattern".into(),
            Self::Store => "a store of this version".into(),
            Self::Secret => "a secret".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::Rate => "a number a second".into(),
            Self::Schedule => "a schedule".into(),
            Self::Data | Self::Tree => "data".into(),
            Self::Document => "a document".into(),
            Self::Filter => "a filter".into(),
            Self::Start => "a place to begin".into(),
            Self::Hook => "an address to post to".into(),
            Self::Folder => "a folder".into(),
            Self::Command => "a command".into(),
            Self::Url => "an address of a service".into(),
            Self::Address => "an address to listen on".into(),
            Self::Port => "a port".into(),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration => "a duration".into(),
            Self::Range => "a range of durations".into(),
            Self::Size => "a size".into(),
            Self::Path => "a path".into(),
            Self::Template => "a path template".into(),
            Self::Target | Self::Destination => "a target".into(),
            Self::Network => "an IP address or a network".into(),
            Self::Host => "a host".into(),
            Self::Method => "an HTTP method".into(),
            Self::Choice(words) => format!("one of `{}`", words.join("`, `")),
            Self::Many(kind) => format!("a list, each {}", kind.noun()),
            Self::Named { noun, .. } => format!("a mapping, one entry for each {noun}"),
            Self::Section(section) | Self::Switch(section) => {
                format!("a mapping, the keys of {}", section.noun)
            }
            Self::Routes(_) => "a list of routes, or a mapping from path to target".into(),
        }
    }

    /// How to write it.
    pub(crate) fn advice(&self) -> String {
        let text = match self {
            Self::Text => "write a text; quotes help where it holds `: ` or `#`",
            Self::Name => "use letters, digits, `-`, `_` and `.`, at most 63, the first a letter or a digit",
            Self::Topic => {
                "write a topic's name, `orders.*` for one segment more, or `orders.>` for all that begin with `orders.`"
            }
            Self::Store => {
                "write `sqlite:` and a file, for example `sqlite:shop.db`, or `postgres://user@host/database`"
            }
            Self::Secret => "write `${env:NAME}` or `${file:path}`, so that it does not stand in this file",
            Self::Flag => "write `true` or `false`",
            Self::Rate => "write how many a second, above 0: for example `50` or `0.5`",
            Self::Schedule => {
                "write minute, hour, day, month and weekday, and a time zone if it is not UTC: `0 5 * * 1-5 Europe/Berlin`"
            }
            Self::Data | Self::Tree => "write any value; it becomes JSON",
            Self::Document => {
                "write the path of a file, for example `schemas/order.json`, or the document itself"
            }
            Self::Filter => {
                "write an expression in CEL, for example `type == \"order.placed\" && data.total > 100`"
            }
            Self::Start => "write `latest`, `earliest`, a moment like `2026-01-31T12:00:00Z`, or a position",
            Self::Hook => "write `https://host/path` or `http://host:port/path`",
            Self::Folder => "write the folder's path; a relative one starts from the folder of this file",
            Self::Command => "write `[python, stock.py]` or `python stock.py`",
            Self::Url => "write `http://host:port` or `https://host`, for example `http://127.0.0.1:9001`",
            Self::Address => "write an IP address and a port, for example `127.0.0.1:8080`",
            Self::Port => "write a number from 1 to 65535",
            Self::Count(..) => "write the number in digits",
            Self::Duration => "write a whole number and a unit: `250ms`, `30s`, `5m`, `2h` or `7d`",
            Self::Range => "write the shorter duration, two dots and the longer one: `1s..5m`",
            Self::Size => "write a whole number and a unit: `512B`, `64KiB`, `4MiB` or `1GiB`",
            Self::Path => "write a path, for example `/healthz`",
            Self::Template => "write a path, for example `/orders/{id}` or `/files/{*rest}`",
            Self::Target | Self::Destination => {
                "write a service, or a service and a path: `orders` or `orders:/orders/{id}`"
            }
            Self::Network => "write an IP address or a network, for example `10.0.0.1` or `10.0.0.0/8`",
            Self::Host => "write a host name without port, for example `shop.example` or `*.shop.example`",
            Self::Method => "write for example `GET` or `[GET, POST]`",
            Self::Choice(words) => return format!("write `{}`", words.join("` or `")),
            Self::Many(kind) => return kind.advice(),
            Self::Named { noun, of, .. } => {
                return match of {
                    Self::Section(_) => format!("write `name: {{ … }}` below, one line for each {noun}"),
                    _ => format!("write `name: value` below, one line for each {noun}"),
                };
            }
            Self::Section(Section { short: Short::Word(word), .. }) => {
                return format!("write `{word}`, or `key: value` lines below it");
            }
            Self::Section(Section { short: Short::RequestLine, .. }) => {
                "write `{ path: /orders, method: GET }` or `GET /orders`"
            }
            Self::Section(Section { short: Short::Key(key), .. }) => {
                return format!("write the value of `{key}`, or `{{ {key}: … }}`");
            }
            Self::Section(_) => "write `key: value` lines below it, or `{ key: value }`",
            Self::Switch(_) => "write `true`, `false` or `{ key: value }`",
            Self::Routes(_) => "write `\"GET /orders/{id}\": orders`, one line for each route",
        };
        text.to_owned()
    }
}
