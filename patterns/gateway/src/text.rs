//! Texts with places to fill: `/v2/{id}?x={query.y}`, `https://{host}{uri}`, `{consumer}`.
//!
//! A place is a name of the route's match (`{id}`), or one of the variables below. `{{` and `}}` stand for braces.
//!
//! | place | is filled with |
//! |---|---|
//! | `{method}`, `{host}`, `{scheme}`, `{address}` | those of the request; the host without its port |
//! | `{path}`, `{uri}` | the canonical path; the path with its query |
//! | `{query.x}`, `{header.x}`, `{cookie.x}` | the first such parameter, header or cookie |
//! | `{claim.x}`, `{consumer}` | what is known of the caller once it is authenticated |
//! | `{route}` | the route's name |
//!
//! What is filled in can never become more than it is: in a path it adds no segment and no query, in a query no
//! parameter. What a name of the match stands for is the exception in a path, because it is a piece of a canonical one.

use std::borrow::Cow;

use crate::asked::{Asked, claim_text};
use crate::places::{self, Part, Spelling};
use crate::template::Captures;

/// The longest text, in bytes: of an answer's body.
const TEXT_MAX: usize = 64 * 1024;

/// A text, checked against the names that its route matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    parts: Box<[Part<Place>]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Capture(usize),
    Method,
    Host,
    Scheme,
    Address,
    Path,
    Uri,
    Query(Box<str>),
    Header(Box<str>),
    Cookie(Box<str>),
    Claim(Box<str>),
    Consumer,
    Route,
}

/// What the places of a text are filled from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'r> {
    pub(crate) asked: &'r Asked<'r>,
    pub(crate) route: &'r str,
    /// The captures, and the text that they are taken from.
    pub(crate) captures: &'r Captures,
    pub(crate) captured: &'r str,
}

impl Text {
    /// A text that stands as it is: a header's value, a body.
    pub(crate) fn plain(text: &str, names: &[&str]) -> Result<Self, String> {
        Self::parse(text, names, false)
    }

    /// A URL or a part of one: what comes before its `?` is spelled as a path, what comes behind as a query.
    pub(crate) fn url(text: &str, names: &[&str]) -> Result<Self, String> {
        Self::parse(text, names, true)
    }

    fn parse(text: &str, names: &[&str], is_url: bool) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("is longer than {} KiB", TEXT_MAX / 1024));
        }
        let parts = places::parts(text, is_url, |name, _| place(name, names))?;
        Ok(Self { parts })
    }

    /// What it begins with, as far as that is written.
    pub(crate) fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether something of the request, other than the name that it came under, is a part of the host of this absolute URL.
    pub(crate) fn asks_for_a_host(&self) -> bool {
        let mut is_scheme = true;
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    let host = text.split_once("://").filter(|_| is_scheme).map_or(&**text, |(_, host)| host);
                    if host.contains(['/', '?', '#']) {
                        return false;
                    }
                }
                Part::Place(Place::Host, _) => {}
                // These begin with a slash.
                Part::Place(Place::Path | Place::Uri, _) => return false,
                Part::Place(..) => return true,
            }
            is_scheme = false;
        }
        false
    }

    /// Whether it says what the query is.
    pub(crate) fn has_query(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains('?')))
            || self.parts.iter().any(|part| matches!(part, Part::Place(Place::Uri, _)))
    }

    /// Whether each of its segments is either written or one whole piece of a canonical path, so that nothing but a
    /// canonical path can come out.
    pub(crate) fn is_made_of_segments(&self) -> bool {
        let mut before = "";
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => before = text,
                Part::Place(Place::Capture(_), Spelling::Path) => {
                    let follows = match parts.peek() {
                        None => "/",
                        Some(Part::Literal(text)) => text,
                        Some(Part::Place(..)) => "",
                    };
                    if !before.ends_with('/') || !follows.starts_with(['/', '?']) {
                        return false;
                    }
                    before = "";
                }
                Part::Place(_, Spelling::Query) => {}
                Part::Place(..) => return false,
            }
        }
        true
    }

    /// Appends it, and says whether everything that it refers to was there; what was not is empty.
    pub(crate) fn write(&self, facts: &Facts<'_>, out: &mut String) -> bool {
        let mut is_complete = true;
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Place(place, spelling) => match place.value(facts) {
                    Some(value) => spell(&value, place, *spelling, out),
                    None => is_complete = false,
                },
            }
        }
        is_complete
    }
}

fn place(name: &str, names: &[&str]) -> Result<Place, String> {
    if let Some(at) = names.iter().position(|known| *known == name) {
        return Ok(Place::Capture(at));
    }
    Ok(match (name, name.split_once('.')) {
        ("method", _) => Place::Method,
        ("host", _) => Place::Host,
        ("scheme", _) => Place::Scheme,
        ("address", _) => Place::Address,
        ("path", _) => Place::Path,
        ("uri", _) => Place::Uri,
        ("consumer", _) => Place::Consumer,
        ("route", _) => Place::Route,
        (_, Some(("query", name))) if !name.is_empty() => Place::Query(name.into()),
        (_, Some(("header", name))) if !name.is_empty() => Place::Header(name.into()),
        (_, Some(("cookie", name))) if !name.is_empty() => Place::Cookie(name.into()),
        (_, Some(("claim", name))) if !name.is_empty() => Place::Claim(name.into()),
        _ => {
            let known: Vec<String> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!(
                "uses `{{{name}}}`, which its route does not match (it has {known}) and which is no variable such as \
                 `{{query.x}}`, `{{header.x}}`, `{{claim.x}}`, `{{host}}` or `{{path}}`"
            ));
        }
    })
}

impl Place {
    fn value<'r>(&self, facts: &Facts<'r>) -> Option<Cow<'r, str>> {
        let asked = facts.asked;
        let lossy = |bytes: &'r [u8]| String::from_utf8_lossy(bytes);
        match self {
            Self::Capture(at) => facts.captured.get(facts.captures.range(*at)).map(Cow::from),
            Self::Method => Some(asked.method.into()),
            Self::Host => {
                Some(crate::host::without_port(asked.host)).filter(|host| !host.is_empty()).map(Cow::from)
            }
            Self::Scheme => Some(asked.scheme.into()),
            Self::Address => Some(asked.address.to_string().into()),
            Self::Path => Some(asked.path.into()),
            Self::Uri => Some(match asked.query {
                Some(query) => format!("{}?{query}", asked.path).into(),
                None => asked.path.into(),
            }),
            Self::Query(name) => {
                asked.parameters().find(|(key, _)| *key == &**name).map(|(_, value)| value.into())
            }
            Self::Header(name) => asked.headers.named(name).next().map(lossy),
            Self::Cookie(name) => {
                asked.cookies().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| lossy(value))
            }
            Self::Claim(name) => asked.claim(name).and_then(claim_text),
            Self::Consumer => asked.consumer.map(Cow::from),
            Self::Route => Some(facts.route.into()),
        }
    }

    /// Whether its value is spelled for a URL already.
    fn is_escaped(&self) -> bool {
        matches!(self, Self::Capture(_) | Self::Query(_))
    }
}

/// Appends `value` so that it stays one piece of what it is put into.
fn spell(value: &str, place: &Place, spelling: Spelling, out: &mut String) {
    let is_whole =
        matches!(place, Place::Capture(_) | Place::Path | Place::Uri | Place::Host | Place::Scheme);
    if spelling == Spelling::Plain || (spelling == Spelling::Path && is_whole) {
        return out.push_str(value);
    }
    for byte in value.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let harmless = matches!(byte, b':' | b'@' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b',')
            || (spelling == Spelling::Query && matches!(byte, b'/' | b'?'));
        if plain || harmless || (byte == b'%' && place.is_escaped()) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Whether a server could read a segment of `path` as a step up or aside.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or("");
    path.split('/').any(|segment| {
        let name = segment.split(';').next().unwrap_or("");
        matches!(name.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    })
}

#[cfg(test)]
mod tests;
