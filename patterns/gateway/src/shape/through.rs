//! A document from one form into another: read, mapped, and written.

use dozen_mapping::{Format, Limits, Mapping, Options, Problem, Value};
use http::{HeaderMap, HeaderValue};

use super::Wrong;
use super::aside::{INLINE_MAX, weight};
use super::problem::{Flaw, Part};
use crate::compose::Keys;

/// From one form of document into another.
#[derive(Debug)]
pub(super) struct Through {
    input: Format,
    output: Format,
    mapping: Mapping,
    /// Whether a program is part of it: how long one takes has little to do with how long its document is.
    has_program: bool,
}

/// Why a document does not come through.
pub(super) enum Unfit {
    /// It cannot be read.
    Unread(String),
    /// It can be read, and is not what the table expects.
    Unexpected(Flaw),
}

impl Through {
    pub(super) fn compile(written: &Value, at: &str) -> Result<Self, Wrong> {
        let keys = Keys::of(written, at)?;
        let format = |name: &str| match keys.get(name) {
            None => Ok(Format::json()),
            Some(format) => Format::parse(format, &keys.place(name)).map_err(mistaken),
        };
        let (input, output) = (format("in")?, format("out")?);
        let rule = keys.object.iter().filter(|(name, _)| !matches!(&***name, "in" | "out"));
        let rule = Value::object(rule.map(|(name, value)| (name.clone(), value.clone())));
        let has_program = has_program(&rule);
        Ok(Self { input, output, mapping: compile(&rule, at)?, has_program })
    }

    /// Whether a document that says so of itself is for this; one that says nothing is.
    pub(super) fn takes(&self, media_type: Option<&str>) -> bool {
        let Some(kind) = media_type else { return true };
        match self.input.name() {
            "json" => kind == "application/json" || kind.ends_with("+json"),
            "xml" | "soap" => kind.ends_with("/xml") || kind.ends_with("+xml"),
            "form" => kind == "application/x-www-form-urlencoded",
            _ => true,
        }
    }

    /// How large a document it has to do with, that came as `bytes` and may become `max`.
    pub(super) fn weight(&self, headers: &HeaderMap, bytes: usize, max: usize) -> usize {
        if self.has_program { max.max(INLINE_MAX + 1) } else { weight(headers, bytes, max) }
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        let written = HeaderValue::from_str(&self.output.content_type());
        written.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
    }

    pub(super) fn apply(
        &self,
        bytes: &[u8],
        content_type: Option<&str>,
        max: usize,
    ) -> Result<Vec<u8>, Unfit> {
        let limits = Limits { size: max, ..Limits::default() };
        let unread = |error: dozen_mapping::DecodeError| Unfit::Unread(error.to_string());
        let read = self.input.decode(bytes, content_type, &limits).map_err(unread)?;
        let made = self.mapping.apply(&read, &limits).map_err(|failure| Unfit::Unexpected(flaw(&failure)))?;
        self.output.encode(&made.value).map_err(|error| {
            let detail = "it cannot be written in the form that the service wants".to_owned();
            tracing::debug!(%error, "what a table made cannot be written");
            Unfit::Unexpected(Flaw { part: Part::Body, pointer: String::new(), detail })
        })
    }
}

/// Whether `jq` stands anywhere in it.
fn has_program(rule: &Value) -> bool {
    match rule {
        Value::Object(object) => object.iter().any(|(name, value)| &**name == "jq" || has_program(value)),
        Value::List(list) => list.iter().any(has_program),
        _ => false,
    }
}

pub(super) fn compile(rule: &Value, at: &str) -> Result<Mapping, Wrong> {
    Mapping::rule(rule, at, &Options::default()).map_err(|mistakes| {
        let mut told = mistakes.0.into_iter();
        let (at, mut problem) = told.next().map(mistaken).unwrap_or_default();
        for other in told {
            problem = format!("{problem}\n{other}");
        }
        (at, problem)
    })
}

fn mistaken(mistake: dozen_mapping::Mistake) -> Wrong {
    let problem = match mistake.hint {
        Some(hint) => format!("{}; {hint}", mistake.problem),
        None => mistake.problem,
    };
    (mistake.path, problem)
}

/// What the client is told of a translation that fails: a place in what it sent, and nothing of the table.
pub(super) fn flaw(failure: &dozen_mapping::Failure) -> Flaw {
    tracing::debug!(%failure, "a translation fails");
    let detail = match &failure.problem {
        Problem::Jq(_) | Problem::Undecided(_) => "it does not have the form that is expected".to_owned(),
        problem => problem.to_string(),
    };
    let pointer = failure.source.as_deref().unwrap_or_default();
    let pointer: String =
        pointer.split(['/', '.']).filter(|name| !name.is_empty()).map(|name| format!("/{name}")).collect();
    Flaw { part: Part::Body, pointer, detail }
}
