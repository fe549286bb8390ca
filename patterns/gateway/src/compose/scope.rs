//! What a reference may name: another call, the request's body, or what the gateway knows of the request.
//!
//! What is known of the request is written down when the route is decided, because the request itself is gone by the time
//! that a call is made: each *fact* once in the spelling of each place where it is used.

use std::borrow::Cow;
use std::sync::Arc;

use dozen_core::nearest;
use dozen_mapping::{Limits, Value, json};

use super::path::Path;
use super::words::spell;
use crate::asked::decoded;
use crate::places::Spelling;
use crate::text::{Facts, Text};

/// What stands for the JSON body of the request.
pub(super) const BODY: &str = "body";
/// What else no call may be called: names of what is known of the request.
pub(super) const VARIABLES: [&str; 13] = [
    BODY, "query", "header", "cookie", "claim", "consumer", "method", "host", "scheme", "address", "path",
    "uri", "route",
];
/// References of one composition.
const REFERENCES_MAX: usize = 256;

/// One value of the request or of a call: `order.sku`, `query.page ?? 1`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    pub(super) source: Source,
    path: Path,
    default: Option<Value>,
    /// As it is written.
    pub(super) text: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Fact(usize),
    Call(usize),
    Body,
}

/// Something that is known of a request.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    name: Box<str>,
    spelling: Spelling,
    text: Text,
    kind: Kind,
}

/// How a fact is spelled in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Text,
    /// With the escapes of a path.
    Capture,
    /// With the escapes of a query, where a plus is a space.
    Parameter,
}

/// What is known of one request: for each fact its text, if it has it.
#[derive(Debug)]
pub(crate) struct Given(Box<[Option<Box<str>>]>);

/// The names of one composition, and what has been referred to.
pub(super) struct Scope<'s> {
    calls: &'s [Arc<str>],
    matched: &'s [&'s str],
    facts: Vec<Fact>,
    uses: Vec<Reference>,
    references: usize,
    pub(super) takes_body: bool,
}

impl<'s> Scope<'s> {
    pub(super) fn new(calls: &'s [Arc<str>], matched: &'s [&'s str]) -> Self {
        Self { calls, matched, facts: Vec::new(), uses: Vec::new(), references: 0, takes_body: false }
    }

    /// Reads a reference, with or without what stands in for nothing.
    pub(super) fn reference(&mut self, text: &str, spelling: Spelling) -> Result<Reference, String> {
        self.references += 1;
        if self.references > REFERENCES_MAX {
            return Err(format!("is one reference too many; a composition has {REFERENCES_MAX} at most"));
        }
        let (name, default) = match text.split_once("??") {
            Some((name, default)) => (name.trim(), Some(default.trim())),
            None => (text.trim(), None),
        };
        let default = default.map(|text| json::read(text, &Limits::default())).transpose();
        let default = default.map_err(|_| {
            format!("has `{text}`, where a JSON value belongs behind `??`: `0`, `null`, `\"none\"`")
        })?;
        let (head, rest) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
        let (source, path) = match self.calls.iter().position(|call| **call == *head) {
            Some(at) => (Source::Call(at), Path::parse(rest)?),
            None if head == BODY => {
                self.takes_body = true;
                (Source::Body, Path::parse(rest)?)
            }
            None => (Source::Fact(self.fact(name, head, spelling)?), Path::default()),
        };
        let reference = Reference { source, path, default, text: name.into() };
        if matches!(source, Source::Call(_)) {
            self.uses.push(reference.clone());
        }
        Ok(reference)
    }

    fn fact(&mut self, name: &str, head: &str, spelling: Spelling) -> Result<usize, String> {
        if let Some(at) = self.facts.iter().position(|fact| *fact.name == *name && fact.spelling == spelling)
        {
            return Ok(at);
        }
        // A parameter stands in the request as it would in another query.
        let is_parameter = head == "query" && !self.matched.contains(&name);
        let place = match spelling {
            _ if is_parameter => Text::plain(&format!("{{{name}}}"), self.matched),
            Spelling::Plain => Text::plain(&format!("{{{name}}}"), self.matched),
            Spelling::Path => Text::url(&format!("/{{{name}}}"), self.matched),
            Spelling::Query => Text::url(&format!("/?{{{name}}}"), self.matched),
        };
        let Ok(text) = place else { return Err(self.unknown(name, head)) };
        let kind = match (is_parameter, self.matched.contains(&name)) {
            (true, _) => Kind::Parameter,
            (false, true) => Kind::Capture,
            (false, false) => Kind::Text,
        };
        self.facts.push(Fact { name: name.into(), spelling, text, kind });
        Ok(self.facts.len() - 1)
    }

    fn unknown(&self, name: &str, head: &str) -> String {
        let calls = self.calls.iter().map(|call| &**call);
        let known: Vec<&str> = calls.chain(self.matched.iter().copied()).chain(VARIABLES).collect();
        let meant = match nearest(head, known.iter().copied()).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<&str> =
                    known.iter().copied().filter(|name| !VARIABLES.contains(name)).collect();
                format!(
                    "there are `{}`, and what is known of the request, such as `query.x`",
                    known.join("`, `")
                )
            }
        };
        format!("refers to `{name}`, and there is no such call and nothing of the request; {meant}")
    }

    /// The references to calls since the last time.
    pub(super) fn take_uses(&mut self) -> Vec<Reference> {
        std::mem::take(&mut self.uses)
    }

    pub(super) fn finish(self) -> KnownFacts {
        KnownFacts(self.facts.into())
    }
}

/// What has to be written down of each request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KnownFacts(Box<[Fact]>);

impl KnownFacts {
    pub(super) fn given(&self, facts: &Facts<'_>) -> Given {
        Given(self.0.iter().map(|fact| fact.given(facts)).collect())
    }
}

impl Fact {
    fn given(&self, facts: &Facts<'_>) -> Option<Box<str>> {
        let mut out = String::new();
        if !self.text.write(facts, &mut out) {
            return None;
        }
        let unescaped = |text: &str| String::from_utf8_lossy(&decoded(text)).into_owned();
        Some(match (self.spelling, self.kind) {
            (Spelling::Plain, Kind::Text) | (Spelling::Query, Kind::Parameter) => out.into(),
            (Spelling::Plain, Kind::Parameter) => unescaped(&out).into(),
            (Spelling::Plain, Kind::Capture) => unescaped(&out.replace('+', "%2B")).into(),
            (Spelling::Path, Kind::Parameter) => {
                let mut spelled = String::new();
                spell(&unescaped(&out), Spelling::Path, &mut spelled);
                spelled.into()
            }
            (Spelling::Path, _) => out.strip_prefix('/').unwrap_or(&out).into(),
            (Spelling::Query, _) => out.strip_prefix("/?").unwrap_or(&out).into(),
        })
    }
}

impl Reference {
    /// What it finds in the result of its call alone, or in what stands in for it.
    pub(super) fn finds_in(&self, result: &Value) -> bool {
        self.default.is_some() || self.path.find(result).is_some_and(|value| *value != Value::Null)
    }

    pub(super) fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

/// What is known at one moment: of the request, and of the calls that have ended.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) given: &'k Given,
    pub(super) results: &'k [Option<Value>],
    pub(super) body: Option<&'k Value>,
}

impl<'k> Known<'k> {
    /// What a reference finds. Its default stands in for nothing and for null.
    pub(super) fn value(&self, reference: &'k Reference) -> Option<Cow<'k, Value>> {
        let path = &reference.path;
        let found = match reference.source {
            Source::Fact(at) => {
                self.given.0.get(at).and_then(Option::as_deref).map(|text| Cow::Owned(Value::text(text)))
            }
            Source::Call(at) => {
                let result = self.results.get(at).and_then(Option::as_ref);
                result.and_then(|result| path.find(result)).map(Cow::Borrowed)
            }
            Source::Body => self.body.and_then(|body| path.find(body)).map(Cow::Borrowed),
        };
        match (found, &reference.default) {
            (None, default) => default.as_ref().map(Cow::Borrowed),
            (Some(found), Some(default)) if *found == Value::Null => Some(Cow::Borrowed(default)),
            (found, _) => found,
        }
    }
}
