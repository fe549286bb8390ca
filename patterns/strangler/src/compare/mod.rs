//! Whether two answers say the same.
//!
//! ```text
//!  old answer ─► translator ─┐            status · chosen headers · body
//!                            ├─► compare ─► Same
//!  new answer ─► translator ─┘            ├ Different: a bounded list of places, personal data described, not quoted
//!                                         └ Incomparable: counts as nothing, neither for the new side nor against it
//! ```
//!
//! JSON is compared as values: the order of members and the spelling of a number mean nothing, and no digit is lost. Other
//! text is compared line by line, the rest byte by byte. With a translator for each side, both are brought into the domain's
//! model first, status and document, so that a new interface of another shape can still be shown to be equal.
//!
//! The work is bounded: depth and size of a document, visits, and what is kept of the differences.

mod difference;
mod joined;
mod json;
mod path;
mod rules;
mod scalar;
mod unordered;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use difference::excerpt;
pub use difference::{Difference, Differences, Kind};
use json::Json;
use rules::{Rules, is_personal};

use crate::Error;
use crate::options::CompareOptions;

/// A whole answer.
pub type Answer = Response<Bytes>;

/// Brings the answer of one side into the domain's model.
pub trait Translator: Send + Sync + 'static {
    /// What the answer says in the domain's words: its status there, a body of JSON, and the headers that still mean
    /// something. The error says what could not be read, without quoting it.
    fn translate(&self, answer: &Answer) -> Result<Answer, String>;
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// They say the same.
    Same,
    /// They differ.
    Different(Differences),
    /// It cannot be said, and why.
    Incomparable(String),
}

/// Compares the answers of one feature.
#[derive(Clone)]
pub struct Comparator {
    rules: Rules,
    translators: Option<[Arc<dyn Translator>; 2]>,
}

impl Comparator {
    /// Compiles the rules; `feature` is named in errors.
    pub fn new(feature: &str, options: &CompareOptions) -> Result<Self, Error> {
        Ok(Self { rules: Rules::compile(feature, options)?, translators: None })
    }

    /// Compares in the domain's model, to which each side has its translator.
    #[must_use]
    pub fn in_domain(mut self, old: Arc<dyn Translator>, new: Arc<dyn Translator>) -> Self {
        self.translators = Some([old, new]);
        self
    }

    /// With the translators of another comparator.
    pub(crate) fn translated_as(mut self, other: &Self) -> Self {
        self.translators = other.translators.clone();
        self
    }

    /// Compares two answers to the same question.
    pub fn compare(&self, old: &Answer, new: &Answer) -> Compared {
        let Some([of_old, of_new]) = &self.translators else {
            return self.sides(old, new, Self::bodies);
        };
        match (of_old.translate(old), of_new.translate(new)) {
            (Ok(old), Ok(new)) => {
                self.sides(&old, &new, |this, old, new| this.documents(old.body(), new.body()))
            }
            // What cannot be said of the old side proves nothing about the new one.
            (Err(problem), _) => Compared::Incomparable(format!("the old side's translator: {problem}")),
            (Ok(_), Err(problem)) => {
                let mut found = nothing();
                note(&mut found, "$".into(), Kind::Type, "the domain's model".into(), excerpt(&problem));
                Compared::Different(found)
            }
        }
    }

    /// Compares two answers of the old side, which tell what it is unsure of itself.
    pub fn replayed(&self, first: &Answer, second: &Answer) -> Compared {
        let of_old = self.translators.as_ref().map(|[of_old, _]| of_old.clone());
        let alone = Self { translators: of_old.map(|of_old| [of_old.clone(), of_old]), ..self.clone() };
        alone.compare(first, second)
    }

    /// Status, chosen headers, and bodies as `bodies` compares them.
    fn sides(
        &self,
        old: &Answer,
        new: &Answer,
        bodies: impl FnOnce(&Self, &Answer, &Answer) -> Result<Differences, String>,
    ) -> Compared {
        if old.status().is_server_error() && new.status().is_server_error() {
            return Compared::Incomparable(
                "both sides fail, which says nothing of what they would answer".into(),
            );
        }
        if let Some(why) = conditional(old.status(), new.status()) {
            return Compared::Incomparable(why);
        }
        let mut found = nothing();
        if old.status() != new.status() {
            let (old, new) = (old.status().as_u16().to_string(), new.status().as_u16().to_string());
            note(&mut found, "status".into(), Kind::Status, old, new);
            // The bodies of a page and of an error have nothing in common worth listing.
            return Compared::Different(found);
        }
        for name in &self.rules.headers {
            let (left, right) = (values(old.headers(), name), values(new.headers(), name));
            if left != right && self.rules.without_hosts(&left) != self.rules.without_hosts(&right) {
                let shown =
                    |text: &str| if is_personal(name.as_str()) { "…".into() } else { excerpt(text) };
                note(&mut found, format!("header {name}"), Kind::Header, shown(&left), shown(&right));
            }
        }
        match bodies(self, old, new) {
            Err(why) => return Compared::Incomparable(why),
            Ok(bodies) => {
                found.shown.extend(bodies.shown);
                found.more += bodies.more;
                found.places = found.places.zip(bodies.places).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
            }
        }
        match found.shown.is_empty() {
            true => Compared::Same,
            false => Compared::Different(found),
        }
    }

    fn bodies(&self, old: &Answer, new: &Answer) -> Result<Differences, String> {
        let (left, right) = (old.body(), new.body());
        let coded = |answer: &Answer| {
            let coding = values(answer.headers(), &header::CONTENT_ENCODING);
            !coding.is_empty() && coding != "identity"
        };
        if (coded(old) || coded(new)) && left != right {
            return Err("a body is compressed; ask both sides with `accept-encoding: identity`".into());
        }
        let is_json = |answer: &Answer| values(answer.headers(), &header::CONTENT_TYPE).contains("json");
        if is_json(old) || is_json(new) {
            return self.documents(left, right);
        }
        let mut found = nothing();
        if left == right {
            return Ok(found);
        }
        match (std::str::from_utf8(left), std::str::from_utf8(right)) {
            (Ok(left), Ok(right)) => {
                let (left, right) = (self.rules.without_hosts(left), self.rules.without_hosts(right));
                if let Some((at, old, new)) = first_line(&left, &right) {
                    note(&mut found, format!("line {at}"), Kind::Value, excerpt(old), excerpt(new));
                    found.places = Some(BTreeSet::from(["body".into()]));
                }
            }
            _ => {
                let at = left.iter().zip(right.iter()).take_while(|(left, right)| left == right).count();
                let sized = |bytes: &Bytes| format!("{} bytes", bytes.len());
                note(&mut found, format!("byte {at}"), Kind::Value, sized(left), sized(right));
                found.places = Some(BTreeSet::from(["body".into()]));
            }
        }
        Ok(found)
    }

    fn documents(&self, old: &Bytes, new: &Bytes) -> Result<Differences, String> {
        let mut found = nothing();
        if old == new {
            return Ok(found);
        }
        let blank = |bytes: &Bytes| bytes.iter().all(u8::is_ascii_whitespace);
        match (blank(old), blank(new)) {
            (false, false) => {}
            (old_is_blank, _) => {
                let says = |blank: bool| if blank { "nothing" } else { "a document" }.to_owned();
                let kind = if old_is_blank { Kind::Extra } else { Kind::Missing };
                note(&mut found, "$".into(), kind, says(old_is_blank), says(!old_is_blank));
                return Ok(found);
            }
        }
        let read = |bytes| std::str::from_utf8(bytes).ok();
        match (read(old).and_then(Json::parse), read(new).and_then(Json::parse)) {
            (Some(left), Some(right)) => walk::walk(&self.rules, &left, &right)
                .map_err(|_| "the arrays without order are too large to be matched".into()),
            (None, _) => Err("the old side's body is no JSON that can be read".into()),
            (Some(_), None) => {
                note(&mut found, "$".into(), Kind::Type, "JSON".into(), "no JSON that can be read".into());
                Ok(found)
            }
        }
    }
}

/// Why two statuses say nothing of each other: a client that has asked for what is new, or for a part, has asked in the words of
/// the one system whose answer it has kept. The other may answer in full, and be right.
fn conditional(old: StatusCode, new: StatusCode) -> Option<String> {
    let shortened =
        |status: StatusCode| matches!(status, StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT);
    let is_one = (shortened(old) && new == StatusCode::OK) || (shortened(new) && old == StatusCode::OK);
    is_one.then(|| {
        format!("one side answers in full and the other does not ({} and {})", old.as_u16(), new.as_u16())
    })
}

/// No difference yet.
fn nothing() -> Differences {
    Differences { places: Some(BTreeSet::new()), ..Differences::default() }
}

fn note(found: &mut Differences, path: String, kind: Kind, old: String, new: String) {
    if let Some(places) = &mut found.places {
        places.insert(path.clone());
    }
    found.shown.push(Difference { path, kind, old, new });
}

/// All values of a header, as one text.
fn values(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let all: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    all.join(", ")
}

/// The first line that differs, counted from 1.
fn first_line<'t>(old: &'t str, new: &'t str) -> Option<(usize, &'t str, &'t str)> {
    let (mut left, mut right) = (old.lines(), new.lines());
    let mut at = 0;
    loop {
        at += 1;
        match (left.next(), right.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((at, one.unwrap_or(""), other.unwrap_or(""))),
        }
    }
}

#[cfg(test)]
mod tests;
